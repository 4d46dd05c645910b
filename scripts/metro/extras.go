// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/metro/training"
	"metrolab/viz"
)

// extras adds to a study's report what the runs alone do not tell: the data, the machine, and what this size cannot show.
func extras(cmd *cobra.Command, runner *training.Runner, results ablations.Results) (ablations.Extra, error) {
	c := results.Study.Baseline
	total := runner.Corpus.Stats.Total()
	figure, err := probe(cmd.Context(), runner, results)
	if err != nil {
		return ablations.Extra{}, err
	}
	var figures []viz.Figure
	if figure != nil {
		figures = append(figures, *figure)
	}
	return ablations.Extra{
		Figures: figures,
		Summary: fmt.Sprintf("Text: %s, %s paragraphs, %s words. Each run sees %d steps of %d rows of %d tokens.",
			runner.Corpus.Source, count(total.Documents), count(total.Words), c.Training.Steps, c.Training.BatchSize, c.Data.SeqLen),
		Notes: []string{
			"The outcome was fixed before any run: how well the main model tells replaced from original tokens on rows of the test split whose fakes come from bigram counts of the training split, the same for every run.",
			"A model of this size says what matters early and small. It does not say what matters at the size of the published models.",
			"Three seeds decide large differences only. An arm that is undecided is not shown to be equal.",
		},
	}, nil
}
