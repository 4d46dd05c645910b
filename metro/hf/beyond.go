// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"metrolab/metro"
)

// beyondElectra lists what transformers' ELECTRA could not compute of a model of that shape with those heads.
func beyondElectra(c metro.Config, e metro.Encoder, heads []string) []string {
	var reasons []string
	add := func(when bool, format string, args ...any) {
		if when {
			reasons = append(reasons, fmt.Sprintf(format, args...))
		}
	}
	has := func(head string) bool { return slices.Contains(heads, head) }
	add(c.Positions.Relative != metro.RelativeNone, "a relative position bias (positions.relative=%s)", c.Positions.Relative)
	add(e.Norm != metro.NormPost, "pre-LN layers")
	add(has("rtd") && c.Objective.RTDHead != metro.RTDHeadProjected, "an RTD head without a dense map (objective.rtd_head=%s)", c.Objective.RTDHead)
	add(has("clm"), "a corrective language modelling head")
	add(has("scl"), "a sequence contrast head")
	add(has("generator") && c.Objective.GeneratorHead != metro.GeneratorHeadNorm, "a generator head without layer normalisation")
	// transformers has GELU there, whatever hidden_act says.
	add((has("generator") || has("lm")) && e.Activation != "gelu", "a masked language modelling head with %s", e.Activation)
	return reasons
}

// newSettings describes an ELECTRA model.
func newSettings(c metro.Config, e metro.Encoder, vocab int, pad int32) settings {
	return settings{
		ModelType: electraType, VocabSize: vocab, EmbeddingSize: c.EmbeddingWidth(),
		HiddenSize: e.Width, Layers: e.Layers, Heads: e.Heads, IntermediateSize: e.FFN,
		Activation: theirActivations[e.Activation], HiddenDropout: e.Dropout, AttentionDropout: e.Dropout,
		MaxPositions: c.Data.SeqLen, TypeVocabSize: cmp.Or(c.Embeddings.TokenTypes, 2), InitializerRange: 0.02,
		Epsilon: e.Epsilon, PadTokenID: int(pad), PositionEmbedding: "absolute", TorchDType: "float32",
	}
}

// asMetro makes it a model of our own type, because of what is listed.
func (s *settings) asMetro(r role, c metro.Config, e metro.Encoder, reasons []string) {
	s.ModelType, s.TypeVocabSize = metroType, c.Embeddings.TokenTypes
	s.Metrolab = &ours{
		Role: r, Norm: e.Norm, Positions: c.Positions, RTDHead: c.Objective.RTDHead, GeneratorHead: c.Objective.GeneratorHead,
		Note: "not an ELECTRA model, because it has " + strings.Join(reasons, " and ") + "; only metrolab reads it",
	}
}
