// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"fmt"
	"log"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

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

// The same noise at three temperatures: probabilities 0.09, 0.24 and 0.67 at T = 1, nearly a third each at 100, and the
// arg max near 0.
func ExampleSampleReplacements() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	sample := MustNewExec(be, metro.SampleReplacements)
	logits := [][][]float32{{{0, 1, 2}, {0, 1, 2}, {0, 1, 2}}}
	for _, temperature := range []float32{1, 100, 0.001} {
		fmt.Println(sample.MustCall(logits, [][]float32{{0.05, 0.2, 0.5}}, temperature)[0].Value())
	}
	// Output:
	// [[0 1 2]]
	// [[0 0 1]]
	// [[2 2 2]]
}

// Token 9 is written at position 1; at position 2 what was drawn is what stood there; the last slot holds nothing.
func ExampleCorrupt() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	corrupt := MustNewExec(be, func(tokens, positions, samples, weights *Node) []*Node {
		corrupted, replaced := metro.Corrupt(tokens, positions, samples, weights)
		return []*Node{corrupted, replaced}
	})
	out := corrupt.MustCall([][]int32{{2, 5, 6, 3}}, [][]int32{{1, 2, 0}}, [][]int32{{9, 6, 8}}, [][]float32{{1, 1, 0}})
	fmt.Println(out[0].Value(), out[1].Value())
	// Output: [[2 9 6 3]] [[false true false false]]
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

// One masked position at which the token was kept, with q = ½ for it, and an RTD logit of 0, so that the copy
// probability is ½ as well: −ln ½, half of that, and −ln(½ + ½·½).
func ExampleCorrectiveLoss() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	for _, form := range []string{metro.CLMSimplified, metro.CLMWeighted, metro.CLMMixture} {
		loss := MustNewExec(be, func(in []*Node) *Node {
			return metro.CorrectiveLoss(form, in[0], in[1], in[2], in[3], in[4])
		})
		logits, target, input, rtd, weights := [][][]float32{{{0, 0}}}, [][]int32{{1}}, [][]int32{{1}}, [][]float32{{0}}, [][]float32{{1}}
		fmt.Printf("%-10s %.4f\n", form, loss.MustCall(logits, target, input, rtd, weights)[0].Value())
	}
	// Output:
	// simplified 0.6931
	// weighted   0.3466
	// mixture    0.2877
}

// Two sequences with two views each. At a low temperature, views that point the same way cost nothing; views that have
// changed places cost much.
func ExampleSequenceContrast() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	loss := MustNewExec(be, func(a, b *Node) *Node { return metro.SequenceContrast(a, b, 0.1) })
	one := [][]float32{{1, 0}, {0, 1}}
	fmt.Printf("%.3f\n", loss.MustCall(one, one)[0].Value())
	fmt.Printf("%.3f\n", loss.MustCall(one, [][]float32{{0, 1}, {1, 0}})[0].Value())
	// Output:
	// 0.000
	// 10.000
}

// Seven tokens behind [CLS], which is 2 here, leave a span of six: the noise decides which.
func ExampleCrop() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	crop := MustNewExec(be, func(tokens, noise *Node) *Node {
		nonPad := NotEqual(tokens, ScalarZero(tokens.Graph(), dtypes.Int32))
		cropped, _ := metro.Crop(tokens, nonPad, noise, 0, 0.9)
		return cropped
	})
	row := []int32{2, 11, 12, 13, 14, 15, 16, 17, 0}
	for _, cropped := range crop.MustCall([][]int32{row, row}, []float32{0.1, 0.8})[0].Value().([][]int32) {
		fmt.Println(cropped)
	}
	// Output:
	// [2 11 12 13 14 15 16 0 0]
	// [2 12 13 14 15 16 17 0 0]
}

// The sum of both, of which only the difference gets a gradient.
func ExampleDisentangle() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	disentangle := MustNewExec(be, func(shared, difference *Node) []*Node {
		table := metro.Disentangle(shared, difference)
		return append([]*Node{table}, Gradient(ReduceAllSum(table), shared, difference)...)
	})
	for _, x := range disentangle.MustCall([]float32{1, 2, 3}, []float32{0.5, 0, 0}) {
		fmt.Println(x.Value())
	}
	// Output:
	// [1.5 2 3]
	// [0 0 0]
	// [1 1 1]
}

// The three heads of METRO on states of width 8 over a vocabulary of 11: the generator's and the corrective one read the
// token table that the model embeds with.
func ExampleCorrectiveLogits() {
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	c := metro.Encoder{Width: 8, Activation: "gelu", Epsilon: 1e-6, Init: metro.InitNormal}
	heads := model.MustNewExec(be, model.NewStore(), func(scope *model.Scope, in []*Node) []*Node {
		states, table := in[0], in[1]
		return []*Node{
			metro.GeneratorLogits(scope.In("generator"), c, states, table, metro.GeneratorHeadNorm),
			metro.RTDLogits(scope.In("rtd"), c, states, metro.RTDHeadLinear, true),
			metro.CorrectiveLogits(scope.In("clm"), c, states, table),
		}
	})
	states, table := tensors.FromShape(shapes.Make(dtypes.Float32, 2, 3, 8)), tensors.FromShape(shapes.Make(dtypes.Float32, 11, 8))
	for _, logits := range heads.MustCall(states, table) {
		fmt.Println(logits.Shape())
	}
	// Output:
	// (Float32)[2, 3, 11]
	// (Float32)[2, 3]
	// (Float32)[2, 3, 11]
}

// ELECTRA base and COCO-LM base, by the rules that size their generators.
func ExampleSizeGenerator() {
	main := metro.Encoder{Layers: 12, Width: 768, Heads: 12, FFN: 3072}
	for _, rule := range []string{"narrow_third", "shallow_third"} {
		g, err := metro.SizeGenerator(main, rule)
		fmt.Println(rule, g.Layers, g.Width, g.Heads, g.FFN, err)
	}
	// Output:
	// narrow_third 12 256 4 1024 <nil>
	// shallow_third 4 768 12 3072 <nil>
}

func ExampleConfig_Set() {
	c := recipes.Tiny()
	fmt.Println(c.Set("optimizer.learning_rate=2e-3"), c.Optimizer.LearningRate)
	fmt.Println(c.Set("generator.width_ratio=0.5"), c.Generator.Width, c.Generator.Heads)
	fmt.Println(c.Set("main.heads=3"), c.Validate())
	fmt.Println(c.Set("objective.rtd_wieght=50"))
	// Output:
	// <nil> 0.002
	// <nil> 32 2
	// <nil> main.heads must divide main.width, but 3 heads do not divide width 64
	// there is no config field "objective.rtd_wieght"; did you mean "objective.rtd_weight"?
}

func ExampleParseGroups() {
	groups, err := metro.ParseGroups("generator: lr=0.5; main/rtd: lr=2 decay=0")
	fmt.Println(groups, err)
	weights := metro.Describe(recipes.Micro(), 300).ByPath()
	fmt.Println(groups[1].Has(weights["/main/rtd/output/weights"]), groups[1].Has(weights["/main/layer_0/ffn_in/weights"]))
	// Output:
	// [{generator 0.5 -1} {main/rtd 2 0}] <nil>
	// true false
}

// The schedule of COCO-LM and METRO-T0: up to the peak in 10,000 steps, then down to nothing.
func ExampleConfig_LearningRate() {
	c := recipes.MetroBase()
	for _, step := range []int{5_000, 10_000, 67_500, 125_000} {
		fmt.Printf("%7d %.1e\n", step, c.LearningRate(step))
	}
	// Output:
	//    5000 2.0e-04
	//   10000 4.0e-04
	//   67500 2.0e-04
	//  125000 3.5e-09
}

// Where the operations of a step of ELECTRA-small, 128 rows of 128 tokens, are: most of them in the main model's layers, and nearly as many in the product
// with the vocabulary as in the generator's layers, though it is made at the masked positions alone.
func ExampleConfig_FLOPs() {
	small := recipes.ElectraSmall()
	flops, err := small.FLOPs(small.Data.VocabSize)
	if err != nil {
		log.Fatal(err)
	}
	for _, part := range flops.Parts() {
		fmt.Printf("%-18s %5.1f GFLOP\n", part.Name, part.Value/1e9)
	}
	// Output:
	// auxiliary trunk     78.1 GFLOP
	// vocabulary product  57.1 GFLOP
	// sampling             0.0 GFLOP
	// main trunk         1008.2 GFLOP
	// heads                6.5 GFLOP
	// optimizer            0.0 GFLOP
	// token vectors        0.0 GFLOP
}
