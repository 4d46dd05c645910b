// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"
	"strings"
)

// Direction says which way a number is good.
type Direction string

// The two directions.
const (
	HigherIsBetter Direction = "higher"
	LowerIsBetter  Direction = "lower"
)

// Metric is what there is to say of a number that a run records.
type Metric struct {
	Key     string    // in metrics.jsonl and result.json
	Label   string    // for people: on an axis, at the head of a column
	Meaning string    // a phrase, with the unit; empty where nothing is known of it
	Format  string    // fmt verb for the number of one run
	Better  Direction // empty where neither way is
	Chance  float64   // what guessing scores; 0 where there is no such number
	Timing  bool      // differs between equal runs
}

// These begin the keys of what is measured on the validation split, and of what averaged weights reach.
const (
	heldOut  = "val_"
	averaged = "ema_"
)

// lowerHead begins the keys of the calibration errors of RTD heads below the last layer, whose number follows.
const lowerHead = "frozen_ece_"

// baselines are what fine-tunings are compared with, by what their metrics begin with in the place of "test_".
var baselines = map[string]string{
	"test_majority_": "always the most frequent answer", "test_bag_of_words_": "a bag of words", "test_tfidf_": "TF-IDF features",
}

// Of returns what is known of the metric of that key. Of val_x that is what is known of x, on held-out text, unless the
// table has a row for val_x itself; of ema_x that of x, of averaged weights; of frozen_ece_2 that of frozen_ece, for the head at layer 2; of
// dev_x that of test_x, on validation texts, and of a baseline's that of the metric; an unknown x_loss is a loss; and anything else is called by its key.
func Of(key string) Metric {
	if i := slices.IndexFunc(table, func(m Metric) bool { return m.Key == key }); i >= 0 {
		return table[i]
	}
	if layer, ok := strings.CutPrefix(key, lowerHead); ok && layer != "" {
		m := Of(strings.TrimSuffix(lowerHead, "_"))
		m.Key, m.Label = key, "calibration error of the RTD head at layer "+layer
		return m
	}
	if rest, ok := strings.CutPrefix(key, heldOut); ok && rest != "" {
		m := Of(rest)
		m.Key, m.Label = key, m.Label+" on held-out text"
		if m.Meaning != "" {
			m.Meaning += ", on the validation split"
		}
		return m
	}
	if rest, ok := strings.CutPrefix(key, averaged); ok && rest != "" {
		m := Of(rest)
		m.Key, m.Label = key, m.Label+", averaged weights"
		if m.Meaning != "" {
			m.Meaning += "; of the running average of the weights (training.ema)"
		}
		return m
	}
	if rest, ok := strings.CutPrefix(key, "dev_"); ok && rest != "" {
		m := Of("test_" + rest)
		m.Key, m.Label = key, strings.Replace(m.Label, "test texts", "validation texts", 1)
		return m
	}
	for prefix, who := range baselines {
		if rest, ok := strings.CutPrefix(key, prefix); ok && rest != "" {
			m := Of("test_" + rest)
			m.Key, m.Label, m.Meaning = key, m.Label+", "+who, "of "+who+": "+m.Meaning
			return m
		}
	}
	if term, ok := strings.CutSuffix(key, "_loss"); ok && term != "" {
		return Metric{Key: key, Label: term + " loss", Format: ratio, Better: LowerIsBetter}
	}
	return Metric{Key: key, Label: key, Format: ratio}
}

// All returns the table.
func All() []Metric { return slices.Clone(table) }

// Timings returns the keys of the metrics that differ between equal runs.
func Timings() (keys []string) {
	for _, m := range table {
		if m.Timing {
			keys = append(keys, m.Key)
		}
	}
	return keys
}
