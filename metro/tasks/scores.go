// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"maps"
	"math"

	"metrolab/metro/runs"
)

// Scores says how well the examples of a test were answered.
type Scores struct {
	// Metrics are the task's own, by their names. Tasks that cut texts into windows have none beside the next two.
	Metrics runs.Values `json:"metrics,omitempty"`

	Accuracy         float64   `json:"accuracy,omitempty"`          // part of all texts
	BalancedAccuracy float64   `json:"balanced_accuracy,omitempty"` // mean of the recalls
	Recall           []float64 `json:"recall,omitempty"`            // of each class, the part of its texts; 0 for a class without any
	Confusion        [][]int   `json:"confusion,omitempty"`         // texts by [true class][predicted class]
}

// Value is the metric of that name, NaN where it was not measured.
func (s Scores) Value(metric string) float64 {
	if v, ok := s.values()[metric]; ok {
		return v
	}
	return math.NaN()
}

// values are all metrics by their names.
func (s Scores) values() runs.Values {
	values := maps.Clone(s.Metrics)
	if values == nil {
		values = runs.Values{"accuracy": s.Accuracy, "balanced_accuracy": s.BalancedAccuracy}
	}
	return values
}

// zero reports whether nothing was measured.
func (s Scores) zero() bool { return s.Metrics == nil && s.Confusion == nil }

// newScores compares the predicted classes of texts with the true ones. Classes without a text are no part of the balanced
// accuracy, as in scikit-learn.
func newScores(classes int, truth, predicted []int) Scores {
	s := Scores{Recall: make([]float64, classes), Confusion: confusion(classes, truth, predicted)}
	present := 0
	for _, row := range s.Confusion {
		if sum(row) > 0 {
			present++
		}
	}
	for class, row := range s.Confusion {
		n := sum(row)
		if n == 0 {
			continue
		}
		s.Recall[class] = float64(row[class]) / float64(n)
		s.BalancedAccuracy += s.Recall[class] / float64(present)
		s.Accuracy += float64(row[class]) / float64(len(truth))
	}
	return s
}

// confusion counts texts by [true class][predicted class].
func confusion(classes int, truth, predicted []int) [][]int {
	counts := make([][]int, classes)
	for class := range counts {
		counts[class] = make([]int, classes)
	}
	for i, class := range truth {
		counts[class][predicted[i]]++
	}
	return counts
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// majority predicts the class that has the most examples, the first of them if several have.
func majority(counts []int, texts int) []int {
	most := 0
	for class, n := range counts {
		if n > counts[most] {
			most = class
		}
	}
	predicted := make([]int, texts)
	for i := range predicted {
		predicted[i] = most
	}
	return predicted
}
