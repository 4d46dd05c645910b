// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"slices"

	"gonum.org/v1/gonum/stat"

	"metrolab/internal/usererr"
	"metrolab/metro/data"
)

// Few is the task with few of its training examples: k of each class of a classification, k in all of another, drawn by seed.
// What it is tested on stays. More than there are is the user's error, and so is a task whose texts are cut into windows.
func Few(t Task, k int, seed int64) (Task, error) {
	switch t := t.(type) {
	case Classification:
		if !t.Whole {
			break
		}
		var few []Example
		for class, name := range t.Classes {
			its := slices.DeleteFunc(slices.Clone(t.Train), func(e Example) bool { return e.Class != class })
			if len(its) < k {
				return nil, usererr.New("%s: of the label %q there are %d training examples, and %d are asked for", t.Source, name, len(its), k)
			}
			few = append(few, drawn(its, k, seed)...)
		}
		t.Train = few
		return t, nil
	case Regression:
		return few(&t, &t.Train, k, seed)
	case Choice:
		return few(&t, &t.Train, k, seed)
	case Tagging:
		return few(&t, &t.Train, k, seed)
	case Spans:
		return few(&t, &t.Train, k, seed)
	case Cloze:
		return few(&t, &t.Train, k, seed)
	}
	if about := t.About(); k > about.TrainTexts {
		return nil, tooFew(about, k)
	}
	return nil, usererr.New("%s: a few of the examples can be taken of a --task alone, not of texts that are cut into windows", t.About().Source)
}

// few is t with k of its training examples, which lie at train.
func few[T Task, E any](t *T, train *[]E, k int, seed int64) (Task, error) {
	if k > len(*train) {
		return nil, tooFew((*t).About(), k)
	}
	*train = drawn(*train, k, seed)
	return *t, nil
}

func tooFew(about About, k int) error {
	return usererr.New("%s: there are %d training examples, and %d are asked for", about.Source, about.TrainTexts, k)
}

// drawn are k of the examples.
func drawn[E any](examples []E, k int, seed int64) []E {
	few := make([]E, k)
	for i := range few {
		few[i] = examples[data.Shuffled(seed, len(examples), i)]
	}
	return few
}

// Spread is how the scores of several fine-tunings lie.
type Spread struct {
	Median, Lowest, Highest float64
	N                       int
}

// SpreadOf says how numbers lie; of none, all is 0.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return Spread{
		Median: stat.Mean(values[(n-1)/2:n/2+1], nil), Lowest: values[0], Highest: values[n-1], N: n,
	}
}
