// SPDX-License-Identifier: Apache-2.0

package moe_test

import (
	"fmt"
	"log"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
	"metrolab/layers/moe"
	"metrolab/metro/backend"
)

// pureGo opens the backend that is always there.
func pureGo() compute.Backend {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	return be
}

// An encoder layer whose feed-forward map is one of four experts for each token. Its losses are collected while the graph is built.
func Example() {
	store := model.NewStore()
	layer := model.MustNewExec(pureGo(), store, func(scope *model.Scope, x *Node) []*Node {
		var balance *Node
		block := layers.Block{Heads: 2, Epsilon: 1e-6, Init: layers.InitFanIn, FeedForward: moe.FeedForward{
			Router: moe.Router{Experts: 4, Choices: 1, TrainingCapacity: 1, EvaluationCapacity: 2, MinCapacity: 4},
			Inner:  16, Activation: layers.GELU, Init: layers.InitFanIn,
			Routed: func(_ *model.Scope, routing moe.Routing) { balance = routing.Balance },
		}}
		return []*Node{block.Apply(scope, x, nil, nil), balance}
	})
	out := layer.MustCall([][][]float32{{{1, 0, 2, 0}, {0, 1, 0, 3}, {5, 0, 0, 5}}})
	fmt.Println(out[0].Shape(), out[1].Shape())
	fmt.Println(store.GetVariable("/gate/weights").Shape(), store.GetVariable("/ffn_in/weights").Shape())
	// Output:
	// (Float32)[1, 3, 4] (Float32)
	// (Float32)[4, 4] (Float32)[4, 4, 16]
}

// Three tokens, two experts with one slot each. The second token comes too late for the first expert: it has no slot, and goes
// through the layer as it is.
func ExampleRoute() {
	route := MustNewExec(pureGo(), func(logits *Node) []*Node {
		r := moe.Route(logits, nil, moe.Lots{}, 1, 1)
		return []*Node{r.Dispatch, r.Dropped}
	})
	out := route.MustCall([][][]float32{{{2, 0}, {1, 0}, {0, 3}}})
	fmt.Println(out[0].Value())
	fmt.Printf("%.2f\n", out[1].Value())
	// Output:
	// [[[[1] [0]] [[0] [0]] [[0] [1]]]]
	// 0.33
}
