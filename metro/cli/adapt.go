// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/tasks"
	"metrolab/viz"
	"metrolab/viz/table"
)

// adaptationWay is a way of --adapt, such as prompt:tokens=1, as assignments to the config.
type adaptationWay struct {
	name string
	set  []string
}

// adaptationNamed reads one; whether there is such a way, the config says.
func adaptationNamed(text string) adaptationWay {
	name, options, _ := strings.Cut(text, ":")
	way := adaptationWay{name: text}
	if name != "full" {
		way.set = append(way.set, "task.adaptation="+name)
	}
	for option := range strings.SplitSeq(options, ":") {
		if option != "" {
			way.set = append(way.set, "task.adaptation_options."+option)
		}
	}
	return way
}

// learned says how much of a model learned in a fine-tuning, heads counted.
func learned(r tasks.Result) string {
	if r.Weights == 0 || r.Adaptation == "" {
		return "all weights"
	}
	return fmt.Sprintf("%s, %s of %s weights (%.3g %%)", r.Adaptation, humanize.Comma(int64(r.Trainable)), humanize.Comma(int64(r.Weights)), 100*shareOf(r))
}

// shareOf is the part of the weights that learned: all, of results that do not say.
func shareOf(r tasks.Result) float64 {
	if r.Weights == 0 {
		return 1
	}
	return float64(r.Trainable) / float64(r.Weights)
}

// ways reads --adapt and makes sure, before anything is trained, that the model can have each.
func (s *tuning) ways() (ways []adaptationWay, err error) {
	for _, text := range s.flags.adapt {
		way := adaptationNamed(text)
		ways = append(ways, way)
		o := s.flags.options
		o.Set = slices.Concat(o.Set, way.set)
		if _, err := tasks.Open(s.runner, s.model, s.task, o); err != nil {
			return nil, err
		}
	}
	return ways, nil
}

// tuned are the fine-tunings in one way, of which the last stands for all but their scores.
type tuned struct {
	name   string
	last   tasks.Result
	scores []float64
}

// inWay fine-tunes in one way at all seeds and, if --control asks for it, from scratch.
func (s *tuning) inWay(way adaptationWay, shots int) (list []tuned, err error) {
	model, scratch := tuned{name: way.name}, tuned{name: way.name + ", from scratch"}
	metric := s.task.About().Metric
	for i := range s.flags.seeds {
		o := s.flags.options
		o.Seed += int64(i)
		o.Set = slices.Concat(o.Set, way.set)
		task, err := s.few(shots, o.Seed)
		if err != nil {
			return nil, err
		}
		result, control, err := s.both(task, o)
		if err != nil {
			return nil, err
		}
		model.last, model.scores = result, append(model.scores, result.Model.Value(metric))
		if control != nil {
			scratch.last, scratch.scores = *control, append(scratch.scores, control.Model.Value(metric))
		}
	}
	if list = append(list, model); len(scratch.scores) > 0 {
		list = append(list, scratch)
	}
	return list, nil
}

// adaptations fine-tunes in each way of --adapt, at all seeds, and prints and draws what each scores and how much of the model learns.
func (s *tuning) adaptations() error {
	ways, err := s.ways()
	if err != nil {
		return err
	}
	shots := 0
	if len(s.flags.shots) == 1 {
		if shots, err = s.count(s.flags.shots[0]); err != nil {
			return err
		}
	}
	s.plan(len(ways) * s.flags.seeds)
	var all []tuned
	for _, way := range ways {
		list, err := s.inWay(way, shots)
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(a, b tuned) int { return cmp.Compare(shareOf(a.last), shareOf(b.last)) })
	s.printAdaptations(all)
	if s.flags.plot == "" {
		return nil
	}
	return s.drawAdaptations(all)
}

// printAdaptations prints what was tuned, and below it what knows nothing of pretraining.
func (s *tuning) printAdaptations(all []tuned) {
	out, metric := s.cmd.OutOrStdout(), s.task.About().Metric
	t := table.Table{Columns: []table.Column{{Name: "learns"}, {Name: "weights", Align: table.Right}, {Name: "share, %", Align: table.Right, Format: "%.3g"}}}
	for _, name := range []string{spoken(metric) + ", median", "lowest", "highest"} {
		t.Columns = append(t.Columns, table.Column{Name: name, Align: table.Right, Format: "%.3f"})
	}
	t.Columns = append(t.Columns, table.Column{Name: "runs", Align: table.Right})
	for _, one := range all {
		spread, weights := tasks.SpreadOf(one.scores), "all"
		if one.last.Weights > 0 {
			weights = humanize.Comma(int64(one.last.Trainable))
		}
		t.Rows = append(t.Rows, []any{one.name, weights, 100 * shareOf(one.last), spread.Median, spread.Lowest, spread.Highest, spread.N})
	}
	printTable(out, t)
	last := all[0].last
	words, constant := baselineNames(last)
	fmt.Fprintln(out)
	for _, other := range []struct {
		name   string
		scores tasks.Scores
	}{{"bag of words", last.BagOfWords}, {words, last.TFIDF}, {constant, last.Majority}} {
		if other.scores.Metrics != nil || other.scores.Confusion != nil {
			fmt.Fprintf(out, "%s: %.3f\n", other.name, other.scores.Value(metric))
		}
	}
}

// drawAdaptations writes the picture of --plot.
func (s *tuning) drawAdaptations(all []tuned) error {
	about := s.task.About()
	picture := viz.Shares{Name: "adaptations", Title: about.Name, Outcome: spoken(about.Metric) + " on the test texts"}
	for _, one := range all {
		picture.Shares = append(picture.Shares, viz.Share{Name: one.name, Share: shareOf(one.last), Outcomes: one.scores})
	}
	figure, err := picture.Figure()
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(s.flags.plot, figure.PNG); err != nil {
		return usererr.New("write the picture: %w", err)
	}
	fmt.Fprintf(s.cmd.OutOrStdout(), "picture: %s\n", s.flags.plot)
	return nil
}
