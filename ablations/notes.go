// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"

	"metrolab/metro/text"
	"metrolab/viz"
)

// Extra is what stands in a report beside the study itself. [Study.Run] writes summary and notes; a program may add
// to them.
type Extra struct {
	Summary string       `json:"summary"` // a paragraph for the head of the page: data, size, machine
	Figures []viz.Figure `json:"figures"` // after the study's own
	Notes   []string     `json:"notes"`   // what the study cannot show
}

// Add adds a figure, in the place of one of its name.
func (e *Extra) Add(figure viz.Figure) {
	e.Figures = append(slices.DeleteFunc(slices.Clone(e.Figures), func(f viz.Figure) bool { return f.Name == figure.Name }), figure)
}

func (e Extra) has(name string) bool {
	return slices.ContainsFunc(e.Figures, func(f viz.Figure) bool { return f.Name == name })
}

// extra says what the runs alone do not tell: the text, the size, and what they cannot show.
func (s Study) extra(corpus *text.Corpus) Extra {
	c, total := s.Baseline, corpus.Stats.Total()
	extra := Extra{
		Summary: fmt.Sprintf("Text: %s, %s paragraphs, %s words. Each run sees %d steps of %d rows of %d tokens.",
			corpus.Source, humanize.Comma(total.Documents), humanize.Comma(total.Words), c.Training.Steps, c.Training.BatchSize, c.Data.SeqLen),
		Notes: []string{
			s.Outcome.note(),
			s.matchingNote(),
			s.seedsNote(),
			"Times, and the last digits of all else, are those of the machine that is named under provenance; another machine rounds in another way.",
			"A model of this size says what matters early and small. It does not say what matters at the size of the published models.",
			"Few seeds decide large differences only. An arm that is undecided is not shown to be equal.",
		},
	}
	if note := s.sourceNote(); note != "" {
		extra.Notes = append(extra.Notes, note)
	}
	if s.Fork != nil {
		extra.Notes = append(extra.Notes, s.Fork.note())
	}
	return extra
}

// seedsNote says when verdicts may be looked at.
func (s Study) seedsNote() string {
	if s.UntilDecided {
		return fmt.Sprintf("Seeds were added until there was a verdict, %d at most, as planned before the first run. The tests are made for that: wrong verdicts stay below %g %% however often one looks, whatever the distribution of the outcome. Intervals hold at all times together, and are wider than those of a fixed number of seeds.",
			len(s.Seeds), 100*Alpha)
	}
	return "Seeds count by the plan that was written down before the first run: who adds seeds after looking, until there is a verdict, finds one too often."
}

// note says what the outcome is.
func (o Outcome) note() string {
	note := "The outcome was fixed before any run: " + o.Label
	if meaning := describe(o.Metric).Meaning; meaning != "" {
		note += ", " + meaning
	}
	if o.Metric == "frozen_auc_unigram" {
		note += ". The set with plausible fakes is harder and stands beside it in the table of runs"
	}
	return note + "."
}
