// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"fmt"

	"metrolab/metro"
)

// joint is one tensor under both its names.
type joint struct {
	theirs     string // in model.safetensors
	ours       string // in a checkpoint; "" at an export for a table that ELECTRA has and the model has not: zeros
	plus       string // at an export, if not "": ours too, to be added (see [metro.Disentangle])
	shape      []int  // ours
	transposed bool   // theirs has the two axes the other way round
}

// theirShape is the shape in model.safetensors.
func (j joint) theirShape() []int {
	if j.transposed {
		return []int{j.shape[1], j.shape[0]}
	}
	return j.shape
}

// rooms are the scopes of a model's variables.
type rooms struct{ token, rest, norm, body string }

// roomsOf says where the variables of the main model or the generator live, under each way of sharing.
func roomsOf(r role, sharing string) rooms {
	main := rooms{"shared", "shared", "main", "main"}
	if sharing == metro.SharingTokenPositionNorm {
		main.norm = "shared"
	}
	if r == mainRole {
		return main
	}
	switch sharing {
	case metro.SharingNone:
		return rooms{"generator", "generator", "generator", "generator"}
	case metro.SharingToken:
		return rooms{"shared", "generator", "generator", "generator"}
	case metro.SharingTokenPositionNorm:
		return rooms{"shared", "shared", "shared", "generator"}
	case metro.SharingAll:
		return main
	default:
		return rooms{"shared", "shared", "generator", "generator"}
	}
}

// naming collects the joints of one model.
type naming struct {
	prefix string // of their encoder: "electra.", …
	c      metro.Config
	e      metro.Encoder
	vocab  int
	rooms  rooms
	joints []joint
}

func (n *naming) add(theirs, ours string, shape ...int) {
	n.joints = append(n.joints, joint{theirs: theirs, ours: ours, shape: shape})
}

func (n *naming) dense(theirs, ours string, in, out int) {
	n.joints = append(n.joints, joint{theirs: theirs + ".weight", ours: ours + ".weights", shape: []int{in, out}, transposed: true})
	n.add(theirs+".bias", ours+".bias", out)
}

func (n *naming) norm(theirs, ours string, width int) {
	n.add(theirs+".weight", ours+".gain", width)
	n.add(theirs+".bias", ours+".offset", width)
}

// encoder adds the embeddings and the layers.
func (n *naming) encoder() {
	const tables = "embeddings."
	e, width := n.c.EmbeddingWidth(), n.e.Width
	n.add(n.prefix+tables+"word_embeddings.weight", n.rooms.token+".token_embedding", n.vocab, e)
	if n.c.Positions.Absolute {
		n.add(n.prefix+tables+"position_embeddings.weight", n.rooms.rest+".position_embedding", n.c.PositionRows(), e)
	}
	if types := n.c.Embeddings.TokenTypes; types > 0 {
		n.add(n.prefix+tables+"token_type_embeddings.weight", n.rooms.rest+".token_type_embedding", types, e)
	}
	n.norm(n.prefix+tables+"LayerNorm", n.rooms.norm+".embedding_norm", e)
	if e != width {
		n.dense(n.prefix+"embeddings_project", n.rooms.body+".embedding_projection", e, width)
	}
	relative := n.c.Positions.Relative != metro.RelativeNone
	if relative && !n.c.Positions.PerLayer {
		n.add(n.prefix+"encoder.relative_position_table.weight", n.rooms.body+".relative_position_table", n.c.Positions.Bins, n.e.Heads)
	}
	for i := range n.e.Layers {
		n.layer(fmt.Sprintf("%sencoder.layer.%d.", n.prefix, i), fmt.Sprintf("%s.layer_%d.", n.rooms.body, i))
		if relative && n.c.Positions.PerLayer {
			n.add(fmt.Sprintf("%sencoder.layer.%d.attention.self.relative_position_table.weight", n.prefix, i),
				fmt.Sprintf("%s.layer_%d.relative_position_table", n.rooms.body, i), n.c.Positions.Bins, n.e.Heads)
		}
	}
	if n.e.Norm == metro.NormPre {
		n.norm(n.prefix+"encoder.LayerNorm", n.rooms.body+".final_norm", width)
	}
}

func (n *naming) layer(theirs, ours string) {
	width := n.e.Width
	for _, part := range []string{"query", "key", "value"} {
		n.dense(theirs+"attention.self."+part, ours+"attention."+part, width, width)
	}
	n.dense(theirs+"attention.output.dense", ours+"attention.output", width, width)
	n.norm(theirs+"attention.output.LayerNorm", ours+"attention_norm", width)
	n.dense(theirs+"intermediate.dense", ours+"ffn_in", width, n.e.FFN)
	n.dense(theirs+"output.dense", ours+"ffn_out", n.e.FFN, width)
	n.norm(theirs+"output.LayerNorm", ours+"ffn_norm", width)
}

// head is what reads the states of an encoder.
type head struct {
	role         role
	theirs, ours string // a tensor that every head of the kind has, and that none of another kind of that role has
	names        func(n *naming)
}

// heads by the names of their scopes.
var heads = map[string]head{
	"generator": {generatorRole, "generator_lm_head.bias", "generator.head.output_bias", func(n *naming) {
		n.lmHead("generator.head", n.c.Objective.GeneratorHead == metro.GeneratorHeadNorm)
	}},
	"rtd": {mainRole, "discriminator_predictions.dense_prediction.weight", "main.rtd.output.weights", func(n *naming) {
		if n.c.Objective.RTDHead == metro.RTDHeadProjected {
			n.dense("discriminator_predictions.dense", "main.rtd.transform", n.e.Width, n.e.Width)
		}
		n.dense("discriminator_predictions.dense_prediction", "main.rtd.output", n.e.Width, 1)
	}},
	"lm": {mainRole, "generator_lm_head.bias", "main.lm.output_bias", func(n *naming) {
		n.lmHead("main.lm", true)
	}},
	"clm": {mainRole, "corrective_predictions.bias", "main.clm.output_bias", func(n *naming) {
		if e := n.c.EmbeddingWidth(); e != n.e.Width {
			n.dense("corrective_predictions.dense", "main.clm.projection", n.e.Width, e)
		}
		n.add("corrective_predictions.bias", "main.clm.output_bias", n.vocab)
	}},
	"scl": {mainRole, "sequence_predictions.dense.weight", "main.scl.transform.weights", func(n *naming) {
		n.dense("sequence_predictions.dense", "main.scl.transform", n.e.Width, n.e.Width)
		n.norm("sequence_predictions.LayerNorm", "main.scl.norm", n.e.Width)
	}},
}

// lmHead adds a masked language modelling head, whose output weights are the token table.
func (n *naming) lmHead(ours string, norm bool) {
	e := n.c.EmbeddingWidth()
	n.dense("generator_predictions.dense", ours+".transform", n.e.Width, e)
	if norm {
		n.norm("generator_predictions.LayerNorm", ours+".norm", e)
	}
	n.add("generator_lm_head.bias", ours+".output_bias", n.vocab)
}
