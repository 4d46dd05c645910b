// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro/data"
	"metrolab/metro/tokens"
)

// Choice is texts with some continuations or answers each, of which one is right.
type Choice struct {
	Name    string
	Source  string // where the texts are from, for people
	Choices int    // of each example
	Metrics []string

	Train, Test []Question
	Validation  []Question // or none

	Notes []string
}

// Question is a text, what may follow it, and which of these is right.
type Question struct {
	Text    string
	Choices []string
	Right   int
}

// About implements [Task].
func (t Choice) About() About {
	return About{Name: t.Name, Source: t.Source, Kind: "multiple choice", Metric: t.Metrics[0], TrainTexts: len(t.Train), TestTexts: len(t.Test), Notes: t.Notes}
}

// Check implements [Task].
func (t Choice) Check() error {
	if t.Choices < 2 {
		return usererr.New("%s: questions have %d choices; a task needs at least two", t.Source, t.Choices)
	}
	if len(t.Train) == 0 || len(t.Test) == 0 {
		return usererr.New("%s: there are %d questions for training and %d for testing; both need some", t.Source, len(t.Train), len(t.Test))
	}
	for i, q := range slices.Concat(t.Train, t.Test, t.Validation) {
		if len(q.Choices) != t.Choices {
			return usererr.New("%s: question %d has %d choices and others have %d; all need as many", t.Source, i+1, len(q.Choices), t.Choices)
		}
	}
	return checkMetrics(t.Source, t.Metrics, classMetrics)
}

// Hash implements [Task].
func (t Choice) Hash() string {
	return hashOf("choice", t.Choices, t.Metrics, t.Train, t.Test, t.Validation)
}

// GraphKey implements [Task].
func (t Choice) GraphKey() string { return fmt.Sprintf("choice/%d", t.Choices) }

// Form implements [Task].
func (t Choice) Form(int) Form {
	return Form{Texts: t.Choices, Least: leastTokens, Pairs: true, Pooled: true, Target: shapes.Make(dtypes.Int32)}
}

// Encode implements [Task]: a question is as many rows as it has choices, each [CLS] text [SEP] choice [SEP].
func (t Choice) Encode(tokenizer tokens.Tokenizer, seqLen int) (train, asked *Rows) {
	encode := func(questions []Question) *Rows {
		p := newPacker(tokenizer, seqLen)
		for i, q := range questions {
			for _, choice := range q.Choices {
				p.add(i, q.Text, choice, true)
			}
			p.rows.targets = append(p.rows.targets, int32(q.Right))
		}
		return p.rows
	}
	return encode(t.Train), encode(slices.Concat(t.Test, t.Validation))
}

// Order implements [Task]: pass after pass, each in an order of its own.
func (t Choice) Order(*Rows) func(seed int64, k int) int {
	return func(seed int64, k int) int { return data.Shuffled(seed, len(t.Train), k) }
}

// Head implements [Task]: one score a row, so that a question has [B, C].
func (t Choice) Head(scope *model.Scope, in HeadInput) *Node {
	scores := layers.Dense(scope.In("task"), in.pooled(scope), 1, layers.InitZeros)
	return Reshape(scores, scores.Shape().Size()/t.Choices, t.Choices)
}

// Loss implements [Task]: the mean cross-entropy over the choices.
func (t Choice) Loss(outputs, targets *Node) *Node { return crossEntropy(outputs, targets) }

// Right implements [Task].
func (t Choice) Right(outputs, targets *Node) (right, of *Node) {
	return rightClasses(outputs, targets)
}

// Answers implements [Task]: log-probabilities.
func (t Choice) Answers(outputs *Node) *Node { return LogSoftmax(outputs) }

// Score implements [Task].
func (t Choice) Score(_ *Rows, answers [][]float32) Scored {
	predicted := make([]int, len(answers))
	for i, a := range answers {
		predicted[i] = argmax(a)
	}
	scored := Scored{Model: t.measure(t.Test, predicted[:len(t.Test)])}
	if len(t.Validation) > 0 {
		validation := t.measure(t.Validation, predicted[len(t.Test):])
		scored.Validation = &validation
	}
	for i, q := range t.Test {
		scored.Predictions = append(scored.Predictions, Prediction{Example: i, Target: q.Choices[q.Right], Predicted: q.Choices[predicted[i]]})
	}
	return scored
}

func (t Choice) measure(truth []Question, predicted []int) Scores {
	right := make([]int, len(truth))
	for i, q := range truth {
		right[i] = q.Right
	}
	return Scores{Metrics: measureClasses(t.Metrics, confusion(t.Choices, right, predicted))}
}

// Baselines implements [Task]: the place that is right most often, and a logistic regression on the TF-IDF features of each choice
// with its text, right or wrong, of which the likeliest is taken.
func (t Choice) Baselines() Baselines {
	places := make([]int, t.Choices)
	for _, q := range t.Train {
		places[q.Right]++
	}
	texts := func(questions []Question) (list []string, right []int) {
		for _, q := range questions {
			for i, choice := range q.Choices {
				list, right = append(list, q.Text+secondText+choice), append(right, 0)
				if i == q.Right {
					right[len(right)-1] = 1
				}
			}
		}
		return list, right
	}
	train, right := texts(t.Train)
	test, _ := texts(t.Test)
	scores := scoreTFIDF(2, train, right, test)
	predicted := make([]int, len(t.Test))
	for i := range predicted {
		best := scores[i*t.Choices : (i+1)*t.Choices]
		for c := range best {
			if best[c][1] > best[predicted[i]][1] {
				predicted[i] = c
			}
		}
	}
	return Baselines{Majority: t.measure(t.Test, majority(places, len(t.Test))), TFIDF: t.measure(t.Test, predicted)}
}
