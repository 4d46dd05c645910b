// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"fmt"
	"log"

	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/recipes"
)

// The generator's logits at two masked positions become samples, and these a corrupted row. The noise 0.5 falls on
// token 6, a replacement; 0.9 falls on token 7, which is what stood there, and so counts as original.
func Example() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	corrupt := MustNewExec(be, func(in []*Node) []*Node {
		tokens, positions, weights, logits, noise := in[0], in[1], in[2], in[3], in[4]
		samples := metro.SampleReplacements(logits, noise, nil)
		corrupted, replaced := metro.Corrupt(tokens, positions, samples, weights)
		return []*Node{samples, corrupted, replaced}
	})
	out := corrupt.MustCall(
		[][]int32{{1, 5, 6, 7, 2, 0}}, // tokens
		[][]int32{{1, 3}},             // masked positions
		[][]float32{{1, 1}},           // both slots are in use
		[][][]float32{{{-9, -9, -9, -9, -9, 0, 1, 0}, {-9, -9, -9, -9, 1, -9, -9, 1}}},
		[][]float32{{0.5, 0.9}},
	)
	for _, x := range out {
		fmt.Println(x.Value())
	}
	// Output:
	// [[6 7]]
	// [[1 6 6 7 2 0]]
	// [[false true false false false false]]
}

// Detection costs the main model 1.31 where it misses the replaced token, at logit −1, and next to nothing at padding,
// whatever it says there.
func ExampleRTDLoss() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	loss := MustNewExec(be, metro.RTDLoss)
	replaced := [][]bool{{false, true, false, false}}
	nonPad := [][]bool{{true, true, true, false}}
	for _, logits := range [][][]float32{{{-6, -1, -6, 9}}, {{-6, 6, -6, 9}}, {{0, 0, 0, 0}}} {
		fmt.Printf("%.4f\n", loss.MustCall(logits, replaced, nonPad)[0].Value())
	}
	// Output:
	// 0.4394
	// 0.0025
	// 0.6931
}

// The mean over the slots in use: ln 4 where all four tokens are equally likely; the last slot holds nothing.
func ExampleCrossEntropy() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	loss := MustNewExec(be, metro.CrossEntropy)
	logits := [][][]float32{{{0, 0, 0, 0}, {9, 0, 0, 0}, {0, 9, 0, 0}}}
	targets, weights := [][]int32{{2, 0, 3}}, [][]float32{{1, 1, 0}}
	fmt.Printf("%.4f\n", loss.MustCall(logits, targets, weights)[0].Value())
	// Output: 0.6933
}

func ExampleConfig_Set() {
	c := recipes.Tiny()
	fmt.Println(c.Set("optimizer.learning_rate=2e-3"), c.Optimizer.LearningRate)
	fmt.Println(c.Set("main.heads=3"), c.Validate())
	fmt.Println(c.Set("objective.rtd_wieght=50"))
	// Output:
	// <nil> 0.002
	// <nil> main.heads must divide main.width, but 3 heads do not divide width 64
	// there is no config field "objective.rtd_wieght"; did you mean "objective.rtd_weight"?
}
