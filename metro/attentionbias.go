// SPDX-License-Identifier: Apache-2.0

package metro

import "metrolab/layers"

// AttentionBiasEntry is a registered bias on the attention logits: what config field positions.relative can name, with its
// options as positions.relative_options.NAME.
type AttentionBiasEntry struct {
	Part
	// Build makes the bias; nil is none. option gives the value of one of the entry's options.
	Build func(p Positions, option func(name string) any) layers.AttentionBias
}

var attentionBiases = newRegistry("attention bias",
	AttentionBiasEntry{Part{Name: RelativeNone, Version: 1}, func(Positions, func(string) any) layers.AttentionBias { return nil }},
	AttentionBiasEntry{Part{Name: RelativeSignedLog, Version: 1}, func(p Positions, _ func(string) any) layers.AttentionBias {
		bias := p.buckets()
		bias.Spread = layers.RelativePositionBias
		return bias
	}},
	AttentionBiasEntry{Part{Name: RelativeT5, Version: 1}, func(p Positions, _ func(string) any) layers.AttentionBias {
		bias := p.buckets()
		bias.Spread = layers.T5PositionBias
		return bias
	}},
)

// AddAttentionBias makes a bias of one's own available. It is multiplied by positions.scale like any other. See
// [RegisterObjective] for name and version.
func AddAttentionBias(entry AttentionBiasEntry) { attentionBiases.add(entry) }

func (p Positions) buckets() layers.BucketBias {
	// N(0, 0.02²) as in COCO-LM; METRO-T0 starts at 0. Off zero, heads look at different offsets from the first step.
	return layers.BucketBias{Bins: p.Bins, MaxDistance: p.MaxDistance, Separate: p.PerLayer, Init: layers.InitNormal(embeddingStd)}
}
