// SPDX-License-Identifier: Apache-2.0

package tasks

// Scores says how well the texts of a test were recognized.
type Scores struct {
	Accuracy         float64   `json:"accuracy"`          // part of all texts
	BalancedAccuracy float64   `json:"balanced_accuracy"` // mean of the recalls
	Recall           []float64 `json:"recall"`            // of each class, the part of its texts
	Confusion        [][]int   `json:"confusion"`         // texts by [true class][predicted class]
}

// newScores compares the predicted classes of texts with the true ones. There must be a text of each of the classes.
func newScores(classes int, truth, predicted []int) Scores {
	s := Scores{Recall: make([]float64, classes), Confusion: make([][]int, classes)}
	for class := range s.Confusion {
		s.Confusion[class] = make([]int, classes)
	}
	for i, class := range truth {
		s.Confusion[class][predicted[i]]++
	}
	for class, row := range s.Confusion {
		n := 0
		for _, count := range row {
			n += count
		}
		s.Recall[class] = float64(row[class]) / float64(n)
		s.BalancedAccuracy += s.Recall[class] / float64(classes)
		s.Accuracy += float64(row[class]) / float64(len(truth))
	}
	return s
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
