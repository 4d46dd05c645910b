// SPDX-License-Identifier: Apache-2.0

package minimalpairs

import "fmt"

// Predictions are the sentences that a scorer takes for acceptable, those of a paradigm in the order of its pairs, as BabyLM's
// evaluation pipeline (2025) writes and reads them.
type Predictions struct {
	Predictions []Taken `json:"predictions"`
}

// Taken is the sentence that is taken of a pair.
type Taken struct {
	ID       string `json:"id"` // PARADIGM_0, PARADIGM_1, …
	Sentence string `json:"pred"`
}

// Predict returns the predictions of outcomes by paradigm. Of a tie the good sentence is taken, as by that pipeline.
func Predict(set *Set, outcomes Outcomes) map[string]Predictions {
	all := map[string]Predictions{}
	for i, p := range set.Paradigms {
		var of Predictions
		for k, pair := range p.Pairs {
			taken := Taken{ID: fmt.Sprintf("%s_%d", p.Name, k), Sentence: pair.Good}
			if outcomes[i][k] == Wrong {
				taken.Sentence = pair.Bad
			}
			of.Predictions = append(of.Predictions, taken)
		}
		all[p.Name] = of
	}
	return all
}
