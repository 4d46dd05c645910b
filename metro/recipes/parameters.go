// SPDX-License-Identifier: Apache-2.0

package recipes

import (
	"metrolab/layers"
	"metrolab/metro"
)

// Parameters are the numbers of weights of the parts of a model.
type Parameters struct {
	Encoder   int // the main model without any head, its tables included: what is kept
	RTDHead   int // on top of it
	Generator int // what the generator has for itself: its head, and whatever config.sharing does not take from the main model
	Active    int // of all of these, those that one token meets: fewer only where it chooses among experts
}

// Count counts the weights of a config's model over vocab tokens from its inventory alone, so it costs nothing for models
// that would not fit. A layer of width d and inner width f has
//
//	4(d² + d) + (d·f + f) + (f·d + d) + 4d
//
// weights. Heads are counted as the config describes them, whether or not its objective trains them; those for language
// modelling on the main model, V biases and at most one dense map, are left out.
func Count(c metro.Config, vocab int) Parameters {
	inv := metro.Describe(c, vocab)
	encoder, head := inv.Of(metro.OwnerMain).Encoder(), inv.HeadOf(metro.OwnerMain, metro.HeadRTD)
	generator := inv.Where(func(w metro.Weight) bool { return w.Owner == metro.OwnerGenerator })
	return Parameters{
		Encoder: encoder.Count(), RTDHead: head.Count(), Generator: generator.Count(),
		Active: c.Active(encoder) + c.Active(head) + c.Active(generator),
	}
}

// TrainFLOPs is the order of magnitude of the floating-point operations of a whole run, by the usual rule of 6 a weight
// and token (2 forward, 4 backward; a frozen generator has the first alone): for the weights of both models' layers, and
// at the masked positions those of the generator's product with the vocabulary. Attention scores, other heads and second
// passes come on top. For ELECTRA's models it is within a quarter of the figures of ELECTRA's published script.
func TrainFLOPs(c metro.Config, vocab int) float64 {
	const forward, backward = 2, 4
	main := (forward + backward) * float64(inLayers(c, metro.OwnerMain))
	generator := float64(inLayers(c, metro.OwnerGenerator)) + c.Masking.Rate*float64(vocab*c.EmbeddingWidth())
	switch c.Replacements.Source {
	case metro.SourceJoint:
		generator *= forward + backward
	case metro.SourceFrozen:
		generator *= forward
	default:
		generator = 0
	}
	return (main + generator) * TrainTokens(c)
}

// TrainTokens is the number of tokens that a run reads, rows × tokens × steps.
func TrainTokens(c metro.Config) float64 {
	return float64(c.Training.Steps) * float64(c.Training.BatchSize) * float64(c.Data.SeqLen)
}

// inLayers counts the weights in the layers of one model that a token meets, each as often as it does, without the tables of an attention bias, which multiply nothing.
func inLayers(c metro.Config, reader metro.Owner) int {
	n := 0
	for _, w := range metro.Describe(c, 1).Of(reader) {
		if w.Layer >= 0 && w.Role != layers.RoleRelative {
			n += c.Active(metro.Inventory{w}) * (1 + w.Again)
		}
	}
	return n
}
