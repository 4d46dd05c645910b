// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/stat"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro/data"
	"metrolab/metro/tokens"
)

// Regression is texts, or pairs of texts, that have a number each, such as how similar the two are.
type Regression struct {
	Name    string
	Source  string   // where the texts are from, for people
	Pairs   bool     // whether examples have a second text
	Metrics []string // names of what is measured; the first is what models are compared by

	Train, Test []Rated
	Validation  []Rated // or none

	Notes []string
}

// Rated is a text, or a pair of texts, and its number.
type Rated struct {
	Text, Pair string
	Value      float64
}

// About implements [Task].
func (t Regression) About() About {
	return About{Name: t.Name, Source: t.Source, Kind: "regression", Metric: t.Metrics[0], TrainTexts: len(t.Train), TestTexts: len(t.Test), Notes: t.Notes}
}

// Check implements [Task].
func (t Regression) Check() error {
	if err := checkMetrics(t.Source, t.Metrics, numberMetrics); err != nil {
		return err
	}
	if len(t.Train) < 2 || len(t.Test) < 2 {
		return usererr.New("%s: there are %d examples for training and %d for testing; both need two or more", t.Source, len(t.Train), len(t.Test))
	}
	if values := valuesOf(t.Train); constant(values) {
		return usererr.New("%s: all training examples have the number %g; there is nothing to learn", t.Source, values[0])
	}
	return nil
}

// Hash implements [Task].
func (t Regression) Hash() string {
	return hashOf("regression", t.Pairs, t.Metrics, t.Train, t.Test, t.Validation)
}

// GraphKey implements [Task].
func (t Regression) GraphKey() string {
	if t.Pairs {
		return "regression/pairs"
	}
	return "regression"
}

// Form implements [Task].
func (t Regression) Form(int) Form {
	return Form{Texts: 1, Least: leastTokens, Pooled: true, Pairs: t.Pairs, Target: shapes.Make(dtypes.Float32)}
}

// Encode implements [Task]. Targets are standardized by the training examples' mean and deviation, so that the head begins at the
// mean.
func (t Regression) Encode(tokenizer tokens.Tokenizer, seqLen int) (train, asked *Rows) {
	mean, deviation := t.scale()
	encode := func(examples []Rated) *Rows {
		p := newPacker(tokenizer, seqLen)
		for i, e := range examples {
			p.add(i, e.Text, e.Pair, t.Pairs)
			p.rows.values = append(p.rows.values, float32((e.Value-mean)/deviation))
		}
		return p.rows
	}
	return encode(t.Train), encode(slices.Concat(t.Test, t.Validation))
}

// scale is the mean and the standard deviation of the training examples' numbers.
func (t Regression) scale() (mean, deviation float64) { return stat.MeanStdDev(valuesOf(t.Train), nil) }

// Order implements [Task]: pass after pass, each in an order of its own.
func (t Regression) Order(train *Rows) func(seed int64, k int) int {
	return func(seed int64, k int) int { return data.Shuffled(seed, train.Len(), k) }
}

// Head implements [Task]: one number a row, [B].
func (t Regression) Head(scope *model.Scope, in HeadInput) *Node {
	return Squeeze(layers.Dense(scope.In("task"), in.pooled(scope), 1, layers.InitZeros), -1)
}

// Loss implements [Task]: the mean squared error of the standardized numbers.
func (t Regression) Loss(outputs, targets *Node) *Node {
	return ReduceAllMean(Square(Sub(outputs, targets)))
}

// Right implements [Task].
func (t Regression) Right(_, _ *Node) (right, of *Node) { return nil, nil }

// Answers implements [Task].
func (t Regression) Answers(outputs *Node) *Node { return InsertAxes(outputs, -1) }

// Score implements [Task].
func (t Regression) Score(_ *Rows, answers [][]float32) Scored {
	mean, deviation := t.scale()
	predicted := make([]float64, len(answers))
	for i, a := range answers {
		predicted[i] = float64(a[0])*deviation + mean
	}
	scored := Scored{Model: t.measure(t.Test, predicted[:len(t.Test)])}
	if len(t.Validation) > 0 {
		validation := t.measure(t.Validation, predicted[len(t.Test):])
		scored.Validation = &validation
	}
	for i, e := range t.Test {
		scored.Predictions = append(scored.Predictions, Prediction{Example: i, Target: e.Value, Predicted: predicted[i]})
	}
	return scored
}

func (t Regression) measure(truth []Rated, predicted []float64) Scores {
	return Scores{Metrics: measureNumbers(t.Metrics, valuesOf(truth), predicted)}
}

// Baselines implements [Task]: the mean of the training examples and, of pairs, the cosine of their TF-IDF vectors.
func (t Regression) Baselines() Baselines {
	mean, _ := t.scale()
	constant, cosine := make([]float64, len(t.Test)), make([]float64, len(t.Test))
	var texts []string
	for _, e := range t.Train {
		texts = append(texts, e.Text, e.Pair)
	}
	v := fitTFIDF(texts, 1)
	for i, e := range t.Test {
		constant[i] = mean
		cosine[i] = v.vector(e.Text).dot(v.vector(e.Pair))
	}
	b := Baselines{Majority: t.measure(t.Test, constant)}
	if t.Pairs {
		b.TFIDF = t.measure(t.Test, cosine)
	}
	return b
}

func valuesOf(examples []Rated) []float64 {
	values := make([]float64, len(examples))
	for i, e := range examples {
		values[i] = e.Value
	}
	return values
}
