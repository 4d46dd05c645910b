// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/tokens"
)

// Cloze is texts with a statement about each in which a name is missing, and the names of the text that may stand there: ReCoRD.
type Cloze struct {
	Name   string
	Source string // where the texts are from, for people

	Train, Test []Blank
	Validation  []Blank // or none

	Notes []string
}

// Blank is a statement about a text, with [Placeholder] where a name is missing.
type Blank struct {
	ID              string
	Text, Statement string
	Candidates      []string // one or more, each once
	Answers         []string // what is accepted: one or more, mostly among the candidates
}

// Placeholder stands in a [Blank.Statement] where the name is missing.
const Placeholder = "@placeholder"

// with is the statement with a name in its place.
func (b Blank) with(candidate string) string {
	return strings.ReplaceAll(b.Statement, Placeholder, candidate)
}

// score is exact match, 0 or 1, and F1 of a name, by ReCoRD's official evaluation: the best over the answers, each compared as
// SQuAD's evaluation does.
func (b Blank) score(name string) (exact, overlap float64) {
	accepted := make([]Answer, len(b.Answers))
	for i, a := range b.Answers {
		accepted[i].Text = a
	}
	return answerScores(accepted, name)
}

// About implements [Task].
func (t Cloze) About() About {
	return About{Name: t.Name, Source: t.Source, Kind: "cloze", Metric: "span_f1", TrainTexts: len(t.Train), TestTexts: len(t.Test), Notes: t.Notes}
}

// Check implements [Task].
func (t Cloze) Check() error {
	if len(t.Train) == 0 || len(t.Test) == 0 {
		return usererr.New("%s: there are %d statements for training and %d for testing; both need some", t.Source, len(t.Train), len(t.Test))
	}
	for _, b := range slices.Concat(t.Train, t.Test, t.Validation) {
		if len(b.Candidates) == 0 || len(b.Answers) == 0 || !strings.Contains(b.Statement, Placeholder) {
			return usererr.New("%s: statement %s has %d candidates, %d answers, and %q; it needs one or more of each, and %s where a name is missing",
				t.Source, b.ID, len(b.Candidates), len(b.Answers), b.Statement, Placeholder)
		}
	}
	return nil
}

// Hash implements [Task].
func (t Cloze) Hash() string { return hashOf("cloze", t.Train, t.Test, t.Validation) }

// GraphKey implements [Task].
func (t Cloze) GraphKey() string { return "cloze" }

// Form implements [Task].
func (t Cloze) Form(int) Form {
	return Form{Texts: 1, Least: leastTokens, Pairs: true, Pooled: true, Target: shapes.Make(dtypes.Int32)}
}

// Encode implements [Task]: a statement is as many rows as it has candidates, each [CLS] text [SEP] statement with the candidate
// [SEP], of the class 1 if the evaluation counts the candidate as right, else 0.
func (t Cloze) Encode(tokenizer tokens.Tokenizer, seqLen int) (train, asked *Rows) {
	encode := func(blanks []Blank) *Rows {
		p := newPacker(tokenizer, seqLen)
		for i, b := range blanks {
			for _, c := range b.Candidates {
				exact, _ := b.score(c)
				p.add(i, b.Text, b.with(c), true)
				p.rows.targets = append(p.rows.targets, int32(exact))
			}
		}
		return p.rows
	}
	return encode(t.Train), encode(slices.Concat(t.Test, t.Validation))
}

// Order implements [Task]: pass after pass over the rows, each in an order of its own.
func (t Cloze) Order(train *Rows) func(seed int64, k int) int {
	return func(seed int64, k int) int { return data.Shuffled(seed, train.Len(), k) }
}

// Head implements [Task]: the scores of wrong and of right, [B, 2].
func (t Cloze) Head(scope *model.Scope, in HeadInput) *Node {
	return layers.Dense(scope.In("task"), in.pooled(scope), 2, layers.InitZeros)
}

// Loss implements [Task]: the mean cross-entropy.
func (t Cloze) Loss(outputs, targets *Node) *Node { return crossEntropy(outputs, targets) }

// Right implements [Task].
func (t Cloze) Right(outputs, targets *Node) (right, of *Node) { return rightClasses(outputs, targets) }

// Answers implements [Task]: log-probabilities.
func (t Cloze) Answers(outputs *Node) *Node { return LogSoftmax(outputs) }

// Score implements [Task]. Of a statement's candidates that is taken which is right by the highest probability, the first of equals.
func (t Cloze) Score(asked *Rows, answers [][]float32) Scored {
	blanks := slices.Concat(t.Test, t.Validation)
	predicted, row := make([]string, len(blanks)), 0
	for i, b := range blanks {
		best := row
		for range b.Candidates {
			if answers[row][1] > answers[best][1] {
				best = row
			}
			row++
		}
		predicted[i] = b.Candidates[best-(row-len(b.Candidates))]
	}
	scored := Scored{Model: t.measure(t.Test, predicted[:len(t.Test)])}
	if len(t.Validation) > 0 {
		validation := t.measure(t.Validation, predicted[len(t.Test):])
		scored.Validation = &validation
	}
	for i, b := range t.Test {
		scored.Predictions = append(scored.Predictions, Prediction{Example: i, ID: b.ID, Target: b.Answers, Predicted: predicted[i]})
	}
	return scored
}

// measure is ReCoRD's official evaluation: means over the statements.
func (t Cloze) measure(truth []Blank, predicted []string) Scores {
	exact, overlap := 0.0, 0.0
	for i, b := range truth {
		e, f := b.score(predicted[i])
		exact, overlap = exact+e, overlap+f
	}
	n := float64(len(truth))
	return Scores{Metrics: runs.Values{"exact_match": part(exact, n), "span_f1": part(overlap, n)}}
}

// Baselines implements [Task]: the candidate that stands in the text most often, the first of equals.
func (t Cloze) Baselines() Baselines {
	predicted := make([]string, len(t.Test))
	for i, b := range t.Test {
		most := -1
		for _, c := range b.Candidates {
			if n := strings.Count(b.Text, c); n > most {
				most, predicted[i] = n, c
			}
		}
	}
	return Baselines{Majority: t.measure(t.Test, predicted)}
}
