// SPDX-License-Identifier: Apache-2.0

package tasks

import "metrolab/internal/usererr"

// Task is texts to be told apart.
type Task struct {
	Name    string
	Source  string   // where the texts are from, for people
	Classes []string // at least two

	Train, Test []Example // at least one of each class in each
}

// Example is a text and its class, an index of [Task.Classes].
type Example struct {
	Text  string
	Class int
}

// check returns the user's error for a task that nothing can be learned or measured on.
func (t Task) check() error {
	if len(t.Classes) < 2 {
		return usererr.New("%s: all texts have one label, %q; a task needs at least two to tell apart", t.Source, t.Classes)
	}
	train, test := t.count(t.Train), t.count(t.Test)
	for class, name := range t.Classes {
		if train[class] == 0 || test[class] == 0 {
			return usererr.New("%s: of the label %q, %d texts are in the training part and %d in the test part, and both need one; give more texts of it, or leave it out",
				t.Source, name, train[class], test[class])
		}
	}
	return nil
}

// count returns the number of examples of each class.
func (t Task) count(examples []Example) []int {
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
