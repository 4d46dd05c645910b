// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"metrolab/metro"
)

// joint is one tensor under both its names.
type joint struct {
	theirs     string // in model.safetensors; "" for a part of a model that folders have no name for
	ours       string // in a checkpoint; "" at an export for a table that ELECTRA has and the model has not: zeros
	plus       string // at an export, if not "": ours too, to be added (see [metro.Disentangle])
	shape      []int  // ours
	transposed bool   // theirs has the last two axes the other way round
}

// theirShape is the shape in model.safetensors.
func (j joint) theirShape() []int {
	shape := slices.Clone(j.shape)
	if n := len(shape); j.transposed {
		shape[n-2], shape[n-1] = shape[n-1], shape[n-2]
	}
	return shape
}

// sides are those of the matrix, or of each of the matrices, of a joint that is transposed, as ours has them.
func (j joint) sides() (rows, columns int) {
	n := len(j.shape)
	return j.shape[n-2], j.shape[n-1]
}

// Their names of parts, behind the prefix of the encoder ("electra.").
var (
	embeddingParts = map[string]string{
		"token_embedding":         "embeddings.word_embeddings",
		metro.PositionTable:       "embeddings.position_embeddings",
		"token_type_embedding":    "embeddings.token_type_embeddings",
		"embedding_norm":          "embeddings.LayerNorm",
		"embedding_projection":    "embeddings_project",
		"relative_position_table": "encoder.relative_position_table",
		"final_norm":              "encoder.LayerNorm",
	}
	layerParts = map[string]string{ // behind "encoder.layer.0."
		"attention/query":         "attention.self.query",
		"attention/key":           "attention.self.key",
		"attention/value":         "attention.self.value",
		"attention/output":        "attention.output.dense",
		"attention_norm":          "attention.output.LayerNorm",
		"gate":                    "intermediate.gate",
		"ffn_in":                  "intermediate.dense", // of experts with one axis more, before the two
		"ffn_out":                 "output.dense",
		"ffn_norm":                "output.LayerNorm",
		"relative_position_table": "attention.self.relative_position_table",
	}
)

// kinds are theirs by ours. A part that is one tensor is a table, and called "weight".
var kinds = map[string]string{"weights": "weight", "bias": "bias", "gain": "weight", "offset": "bias", "": "weight"}

// head is what reads the states of an encoder.
type head struct {
	role   role
	name   string            // of its scope
	parts  map[string]string // theirs by ours, without a prefix
	theirs string            // a tensor that every head of the kind has, and that none of another kind of that role has
}

// lmParts are the parts of a masked language modelling head, whose output weights are the token table.
var lmParts = map[string]string{
	"transform": "generator_predictions.dense", "norm": "generator_predictions.LayerNorm", "output_bias": "generator_lm_head",
}

// lmTransform is a tensor of every masked language modelling head.
const lmTransform = "generator_predictions.dense.weight"

// bertNames are BERT's for the same head, by ELECTRA's.
var bertNames = strings.NewReplacer(
	"generator_predictions.", "cls.predictions.transform.",
	outputWeights, "cls.predictions.decoder.weight",
	"generator_lm_head.bias", "cls.predictions.bias",
)

// heads by their names in this package.
var heads = map[string]head{
	"generator": {generatorRole, metro.HeadGenerator, lmParts, lmTransform},
	"rtd": {mainRole, metro.HeadRTD, map[string]string{
		"transform": "discriminator_predictions.dense", "output": "discriminator_predictions.dense_prediction",
	}, "discriminator_predictions.dense_prediction.weight"},
	"lm": {mainRole, metro.HeadLM, lmParts, lmTransform},
	"clm": {mainRole, metro.HeadCLM, map[string]string{
		"projection": "corrective_predictions.dense", "output_bias": "corrective_predictions",
	}, "corrective_predictions.bias"},
	"scl": {mainRole, metro.HeadSCL, map[string]string{
		"transform": "sequence_predictions.dense", "norm": "sequence_predictions.LayerNorm",
	}, "sequence_predictions.dense.weight"},
}

// headsOf are heads and, of a model with RTD heads below its last layer, these.
func headsOf(c metro.Config) map[string]head {
	all := maps.Clone(heads)
	for _, layer := range c.ExitLayers() {
		name := metro.ExitHead(layer)
		prefix := fmt.Sprintf("exit_predictions.%d.", layer)
		all[name] = head{mainRole, name, map[string]string{
			"transform": prefix + "dense", "output": prefix + "dense_prediction",
		}, prefix + "dense_prediction.weight"}
	}
	return all
}

// weights are the head's in an inventory.
func (h head) weights(inv metro.Inventory) metro.Inventory { return inv.HeadOf(h.role.owner(), h.name) }

// theirName is the name of w in model.safetensors, "" if it has none; heads are those of [headsOf].
func theirName(prefix string, w metro.Weight, heads map[string]head) string {
	parts, kind := embeddingParts, kinds[w.Kind]
	switch {
	case w.Head != "":
		prefix = ""
		for _, h := range heads {
			if h.name == w.Head && h.role.owner() == w.Owner {
				parts = h.parts
			}
		}
		if w.Kind == "" {
			kind = "bias" // of the tied output, the only part of a head that is one tensor
		}
	case w.Layer >= 0:
		parts, prefix = layerParts, fmt.Sprintf("%sencoder.layer.%d.", prefix, w.Layer)
	}
	part := parts[w.Part]
	if part == "" || kind == "" {
		return ""
	}
	return prefix + part + "." + kind
}

// jointsOf are the tensors of one model of config c, an encoder with the named heads, under a prefix.
func jointsOf(c metro.Config, vocab int, r role, heads []string, prefix string) (joints []joint) {
	known := headsOf(c)
	for _, w := range weightsOf(c, vocab, r, heads) {
		joints = append(joints, joint{theirs: theirName(prefix, w, known), ours: w.Tensor(), shape: w.Shape, transposed: w.Kind == "weights"})
	}
	return joints
}

// weightsOf lists the weights of one model of config c with the named heads. Differences are no tensors of a folder, where
// they are added up.
func weightsOf(c metro.Config, vocab int, r role, names []string) metro.Inventory {
	inv := metro.Describe(c, vocab).Of(r.owner())
	list := inv.Encoder().Where(func(w metro.Weight) bool { return !w.Difference })
	heads := headsOf(c)
	for _, name := range names {
		list = append(list, heads[name].weights(inv)...)
	}
	return list
}
