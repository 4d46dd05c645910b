// SPDX-License-Identifier: Apache-2.0

package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Embedder turns ids below V into vectors of width E, and gives the matrix that output heads are tied to. It is a function of
// its weights' nodes, which the caller makes: so models can share the weights, or add to them.
type Embedder interface {
	// Weights lists the weights, by their places in the scope that they are put in. The first should have a row for each
	// token, if any has: it is what says how many tokens a trained model knows.
	Weights() []Weight
	// Embed looks up ids, [...], in nodes of the weights: [..., E]. From scope it may read what [Embed] does.
	Embed(scope *model.Scope, weights []*Node, ids *Node) *Node
	// Output returns the matrix [V, E] with which states become logits. From scope it may read what [Product] does.
	Output(scope *model.Scope, weights []*Node) *Node
}

// TableEmbedder is one table with a row for each token, token_embedding, [V, E].
type TableEmbedder struct {
	Vocab, Width int
	Init         Initializer
}

// Weights implements [Embedder].
func (e TableEmbedder) Weights() []Weight {
	return []Weight{{Part: "token_embedding", Shape: []int{e.Vocab, e.Width}, Init: e.Init, Role: RoleTable}}
}

// Embed implements [Embedder].
func (e TableEmbedder) Embed(scope *model.Scope, weights []*Node, ids *Node) *Node {
	return Embed(scope, weights[0], ids)
}

// Output implements [Embedder].
func (e TableEmbedder) Output(_ *model.Scope, weights []*Node) *Node { return weights[0] }
