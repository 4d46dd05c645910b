// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/tokens"
)

// Classification is texts to be told apart.
type Classification struct {
	Name    string
	Source  string   // where the texts are from, for people
	Classes []string // at least two

	Train, Test []Example // at least one of each class in each
	Validation  []Example // to choose settings by; the same, or none
}

// Example is a text and its class, an index of [Classification.Classes].
type Example struct {
	Text  string
	Class int
}

// About implements [Task].
func (t Classification) About() About {
	return About{Name: t.Name, Source: t.Source, Classes: t.Classes, TrainTexts: len(t.Train), TestTexts: len(t.Test)}
}

// Check implements [Task].
func (t Classification) Check() error {
	if len(t.Classes) < 2 {
		return usererr.New("%s: all texts have one label, %q; a task needs at least two to tell apart", t.Source, t.Classes)
	}
	train, test := t.count(t.Train), t.count(t.Test)
	for class, name := range t.Classes {
		if train[class] == 0 || test[class] == 0 {
			return usererr.New("%s: of the label %q, %d texts are in the training part and %d in the test part, and both need one; give more texts of it, or leave it out",
				t.Source, name, train[class], test[class])
		}
		if len(t.Validation) > 0 && t.count(t.Validation)[class] == 0 {
			return usererr.New("%s: of the label %q, no text is in the validation part; give more texts of it, or leave it out", t.Source, name)
		}
	}
	return nil
}

// Hash implements [Task]: of the classes, and of the examples in their order.
func (t Classification) Hash() string {
	content := []any{t.Classes, t.Train, t.Test}
	if len(t.Validation) > 0 {
		content = append(content, t.Validation)
	}
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(content); err != nil {
		panic(err) // texts and numbers
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// GraphKey implements [Task].
func (t Classification) GraphKey() string { return fmt.Sprintf("classification/%d", len(t.Classes)) }

// Encode implements [Task]. Every window of a text is a row, and its target the text's class. The rows that are asked about
// are those of the test texts, then those of the validation texts.
func (t Classification) Encode(tokenizer tokens.Tokenizer, seqLen int) (train, asked *Rows) {
	return newRows(tokenizer, seqLen, t.Train), newRows(tokenizer, seqLen, slices.Concat(t.Test, t.Validation))
}

// Order implements [Task]: the classes take turns, so that all weigh the same.
func (t Classification) Order(train *Rows) func(seed int64, k int) int {
	return newTurns(len(t.Classes), train.targets).at
}

// headScale multiplies what the head reads. The means of any two texts differ by little, and in a short run a head that
// starts at 0 would not get far. On the validation texts of [Families], after 1,000 steps of the size tiny, it adds 0.07 to 0.09
// to the balanced accuracy of one pretrained model and 0.01 to 0.03 to that from scratch, at each of three learning rates.
const headScale = 10

// Head implements [Task]: the scores of the classes, [B, classes], a linear map that starts at 0, so that the loss starts at
// ln classes, of the mean of the states over the real tokens, [CLS] among them.
func (t Classification) Head(scope *model.Scope, states, nonPad *Node) *Node {
	real := InsertAxes(ConvertDType(nonPad, states.DType()), -1)
	mean := Div(ReduceSum(Mul(states, real), 1), ReduceSum(real, 1)) // [B, H]
	return layers.Dense(scope.In("task"), MulScalar(mean, headScale), len(t.Classes), layers.InitZeros)
}

// Loss implements [Task]: the mean cross-entropy.
func (t Classification) Loss(outputs, targets *Node) *Node {
	logits, one := InsertAxes(outputs, 1), InsertAxes(targets, -1)
	return metro.CrossEntropy(logits, one, OnesLike(ConvertDType(one, logits.DType())))
}

// Right implements [Task].
func (t Classification) Right(outputs, targets *Node) *Node {
	return ReduceAllSum(ConvertDType(Equal(ArgMax(outputs, -1, dtypes.Int32), targets), outputs.DType()))
}

// Answers implements [Task]: log-probabilities.
func (t Classification) Answers(outputs *Node) *Node { return LogSoftmax(outputs) }

// Score implements [Task]. A text's class is the one with the highest log-probability, averaged over its windows.
func (t Classification) Score(asked *Rows, answers [][]float32) Scored {
	predicted := t.answers(asked, answers)
	score := func(truth []Example, predicted []int) Scores {
		return newScores(len(t.Classes), classesOf(truth), predicted)
	}
	scored := Scored{
		Model:      score(t.Test, predicted[:len(t.Test)]),
		BagOfWords: score(t.Test, bagOfWords(t)), Majority: score(t.Test, majority(t.count(t.Train), len(t.Test))),
	}
	if len(t.Validation) > 0 {
		validation := score(t.Validation, predicted[len(t.Test):])
		scored.Validation = &validation
	}
	return scored
}

// answers returns the class of each test text, then of each validation text.
func (t Classification) answers(asked *Rows, answers [][]float32) []int {
	sums := make([][]float64, len(t.Test)+len(t.Validation)) // the number of windows does not change which is the highest
	for i := range sums {
		sums[i] = make([]float64, len(t.Classes))
	}
	for row, values := range answers {
		for class, v := range values {
			sums[asked.windows[row].Text][class] += float64(v)
		}
	}
	predicted := make([]int, len(sums))
	for i, sum := range sums {
		predicted[i] = argmax(sum)
	}
	return predicted
}

// count returns the number of examples of each class.
func (t Classification) count(examples []Example) []int {
	n := make([]int, len(t.Classes))
	for _, e := range examples {
		n[e.Class]++
	}
	return n
}

func classesOf(examples []Example) []int {
	classes := make([]int, len(examples))
	for i, e := range examples {
		classes[i] = e.Class
	}
	return classes
}
