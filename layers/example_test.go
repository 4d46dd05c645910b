// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"fmt"
	"log"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
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

// The variables of a layer live in its scope, with their first values, until something trains them.
func ExampleDense() {
	store := model.NewStore()
	dense := model.MustNewExec(pureGo(), store, func(scope *model.Scope, x *Node) *Node {
		return layers.Dense(scope.In("map"), x, 3, layers.InitOnes)
	})
	fmt.Println(dense.MustCall([][]float32{{1, 2}, {10, 20}})[0].Value())
	fmt.Println(store.GetVariable("/map/weights").Shape(), store.GetVariable("/map/bias").Shape())
	// Output:
	// [[3 3 3] [30 30 30]]
	// (Float32)[2, 3] (Float32)[3]
}

// Every row gets mean 0 and variance 1, whatever its size.
func ExampleLayerNorm() {
	norm := model.MustNewExec(pureGo(), model.NewStore(), func(scope *model.Scope, x *Node) *Node {
		return layers.LayerNorm(scope, x, 1e-12)
	})
	fmt.Println(norm.MustCall([][]float32{{1, 3}, {100, 500}})[0].Value())
	// Output: [[-1 1] [-1 1]]
}

func ExampleEmbed() {
	embed := model.MustNewExec(pureGo(), model.NewStore(), layers.Embed)
	table := [][]float32{{0, 0}, {1, 10}, {2, 20}}
	fmt.Println(embed.MustCall(table, []int32{2, 0, 1})[0].Value())
	// Output: [[2 20] [0 0] [1 10]]
}

// The mask depends on the key and on the scope alone: the same call drops the same elements.
func ExampleDropout() {
	drop := model.MustNewExec(pureGo(), model.NewStore(), func(scope *model.Scope, x, key *Node) *Node {
		return layers.Dropout(scope.In("states"), x, key, 0.5)
	})
	x := []float32{1, 1, 1, 1, 1, 1, 1, 1}
	fmt.Println(drop.MustCall(x, []uint64{1, 2, 0})[0].Value())
	fmt.Println(drop.MustCall(x, []uint64{1, 2, 0})[0].Value())
	fmt.Println(drop.MustCall(x, []uint64{1, 3, 0})[0].Value())
	// Output:
	// [0 2 0 2 0 2 0 0]
	// [0 2 0 2 0 2 0 0]
	// [2 2 0 0 2 2 2 0]
}

// Near offsets have a bucket each, far ones share: with 32 of them and 128 as the maximum, 8 to either side are exact.
func ExampleSignedLogBucket() {
	for _, offset := range []int{-100, -9, -8, -1, 0, 1, 8, 9, 11, 12, 100, 1000} {
		fmt.Print(layers.SignedLogBucket(offset, 32, 128), " ")
	}
	// Output: 0 6 7 14 15 16 23 24 24 25 30 30
}

// T5 counts distances to the left from 0 and to the right from 16.
func ExampleT5Bucket() {
	for _, offset := range []int{-1000, -12, -11, -8, -1, 0, 1, 8, 11, 12, 1000} {
		fmt.Print(layers.T5Bucket(offset, 32, 128), " ")
	}
	// Output: 15 9 8 8 1 0 17 24 24 25 31
}

// A table of 8 buckets and one head, spread over a row of four positions: query q adds table[bucket(k−q)] to its
// attention to key k.
func ExampleRelativePositionBias() {
	spread := MustNewExec(pureGo(), func(table *Node) *Node { return layers.RelativePositionBias(table, 4, 16) })
	bias := spread.MustCall([][]float32{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}})[0].Value().([][][][]float32)
	for _, row := range bias[0][0] {
		fmt.Println(row)
	}
	// Output:
	// [3 4 5 6]
	// [2 3 4 5]
	// [1 2 3 4]
	// [0 1 2 3]
}

// The same table with T5's buckets: 0 to 3 for keys to the left, 5 to 7 for keys to the right.
func ExampleT5PositionBias() {
	spread := MustNewExec(pureGo(), func(table *Node) *Node { return layers.T5PositionBias(table, 4, 16) })
	bias := spread.MustCall([][]float32{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}})[0].Value().([][][][]float32)
	for _, row := range bias[0][0] {
		fmt.Println(row)
	}
	// Output:
	// [0 5 6 6]
	// [1 0 5 6]
	// [2 1 0 5]
	// [2 2 1 0]
}

// Three tokens, the last of them padding: what stands there reaches nobody.
func ExampleSelfAttention() {
	attend := model.MustNewExec(pureGo(), model.NewStore(), func(scope *model.Scope, x, mask *Node) *Node {
		attention := layers.SelfAttention{Heads: 2, Init: layers.InitFanIn}
		mixed := attention.Apply(scope, x, layers.PaddingBias(mask, x), nil)
		return Slice(mixed, AxisRange(), AxisRange(0, 2)) // of the two real tokens
	})
	mask := [][]bool{{true, true, false}}
	a := attend.MustCall([][][]float32{{{1, 0, 2, 0}, {0, 1, 0, 3}, {0, 0, 0, 0}}}, mask)[0]
	b := attend.MustCall([][][]float32{{{1, 0, 2, 0}, {0, 1, 0, 3}, {9, 9, 9, 9}}}, mask)[0]
	fmt.Println(a.Shape(), a.Equal(b))
	// Output: (Float32)[1, 2, 4] true
}

// Two pre-LN layers, the second with relative positions: the states after each, and the variables that hold the weights.
func ExampleEncoder() {
	block := layers.Block{
		Heads: 2, FFN: 16, Activation: layers.GELU, Epsilon: 1e-6, PreNorm: true,
		Init: layers.InitNormal(0.02), InitResidual: layers.InitScaled(layers.InitNormal(0.02), 0.5), // 1/√(2·2 layers)
	}
	store := model.NewStore()
	encode := model.MustNewExec(pureGo(), store, func(scope *model.Scope, x *Node) []*Node {
		table := layers.Param(scope, x, "positions", layers.InitZeros, 32, block.Heads)
		biases := []*Node{nil, layers.RelativePositionBias(table, x.Shape().Dim(1), 128)}
		return layers.Encoder(scope, x, biases, nil, block)
	})
	states := encode.MustCall([][][]float32{{{1, 0, 2, 0}, {0, 1, 0, 3}, {5, 0, 0, 5}}})
	fmt.Println(len(states), states[1].Shape(), store.GetVariable("/layer_1/attention/query/weights").Shape())
	// Output: 2 (Float32)[1, 3, 4] (Float32)[4, 4]
}

// bfloat16 keeps eight bits: 1.002 becomes 1. The variables, and what comes out, stay float32.
func ExampleProduct() {
	store := model.NewStore()
	times := func(scope *model.Scope, states, table *Node) *Node {
		return layers.Product(scope, "sh,vh->sv", states, table)
	}
	states, table := [][]float32{{1.002, 0}}, [][]float32{{1, 0}, {2, 0}, {3, 0}}
	fmt.Println(model.MustNewExec(pureGo(), store, times).MustCall(states, table)[0].Value())
	store.SetParam(layers.ParamMatMulDType, dtypes.BFloat16)
	fmt.Println(model.MustNewExec(pureGo(), store, times).MustCall(states, table)[0].Value())
	// Output:
	// [[1.002 2.004 3.006]]
	// [[1 2 3]]
}
