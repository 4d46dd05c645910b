// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// tuning is a call of finetune: one fine-tuning, several seeds, or several numbers of training texts.
type tuning struct {
	cmd    *cobra.Command
	flags  finetuneFlags
	runner *training.Runner
	model  training.Pretrained
	task   tasks.Task

	ended, planned int // fine-tunings
}

// recipeNames are the published ways of fine-tuning.
func recipeNames() (names []string) {
	for _, r := range tasks.Recipes() {
		names = append(names, r.Name)
	}
	return names
}

// tune fine-tunes once.
func (s *tuning) tune(task tasks.Task, o tasks.Options) (tasks.Result, error) {
	name := "fine-tuning"
	if s.ended++; s.planned > 1 {
		name = fmt.Sprintf("fine-tuning %d of %d", s.ended, s.planned)
	}
	bar := newBar(name)
	defer bar.finish()
	if s.flags.choose {
		return tasks.Choose(s.cmd.Context(), s.runner, s.model, task, o, bar.train)
	}
	return tasks.Finetune(s.cmd.Context(), s.runner, s.model, task, o, bar.train)
}

// both fine-tunes, and from scratch too if --control asks for that.
func (s *tuning) both(task tasks.Task, o tasks.Options) (result tasks.Result, control *tasks.Result, err error) {
	if result, err = s.tune(task, o); err != nil || !s.flags.control {
		return result, nil, err
	}
	o.FromScratch = true
	scratch, err := s.tune(task, o)
	return result, &scratch, err
}

// plan counts the fine-tunings that are to come.
func (s *tuning) plan(points int) {
	if s.planned = points; s.flags.control {
		s.planned *= 2
	}
}

// once fine-tunes at one seed.
func (s *tuning) once() error {
	s.plan(1)
	result, control, err := s.both(s.task, s.flags.options)
	if err != nil {
		return err
	}
	out := s.cmd.OutOrStdout()
	if result.CutTexts > 0 {
		fmt.Fprintf(stderr, "%s texts are longer than what is read of one\n", humanize.Comma(int64(result.CutTexts)))
	}
	printScores(out, result, control)
	if result.Adaptation != "" {
		fmt.Fprintf(out, "\nlearned: %s\n", learned(result))
	}
	fmt.Fprintf(out, "\nrun:    %s\n", result.Run.Dir)
	for _, path := range keepBeside(s.flags.model, result) {
		fmt.Fprintf(out, "result: %s\n", path)
	}
	if control != nil {
		fmt.Fprintf(out, "control: %s\n", control.Run.Dir)
	}
	if s.flags.predictions == "" {
		return nil
	}
	o := s.flags.options
	o.LearningRate = result.LearningRate // that was chosen
	return s.predict(o)
}

// predict writes what the fine-tuned model says of the test texts.
func (s *tuning) predict(o tasks.Options) error {
	predictions, err := tasks.Predict(s.runner, s.model, s.task, o)
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for _, p := range predictions {
		if err := encoder.Encode(p); err != nil {
			return err
		}
	}
	if err := atomicfile.WriteFile(s.flags.predictions, lines.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(s.cmd.OutOrStdout(), "predictions: %s\n", s.flags.predictions)
	return nil
}

// spreads collects a metric of what is compared.
type spreads struct {
	names  []string
	values map[string][]float64
}

func (s *spreads) add(name string, scores tasks.Scores, metric string) {
	if scores.Metrics == nil && scores.Confusion == nil {
		return
	}
	if s.values == nil {
		s.values = map[string][]float64{}
	}
	if s.values[name] == nil {
		s.names = append(s.names, name)
	}
	s.values[name] = append(s.values[name], scores.Value(metric))
}

// points fine-tunes at all seeds and returns the spreads. task is what is learned at a seed.
func (s *tuning) points(task func(seed int64) (tasks.Task, error)) (spreads, error) {
	var all spreads
	o := s.flags.options
	for i := range s.flags.seeds {
		o.Seed = s.flags.options.Seed + int64(i)
		t, err := task(o.Seed)
		if err != nil {
			return all, err
		}
		result, control, err := s.both(t, o)
		if err != nil {
			return all, err
		}
		metric := metricsOf(result)[0]
		all.add(nameOf(result), result.Model, metric)
		if control != nil {
			all.add(nameOf(*control), control.Model, metric)
		}
		all.add("bag of words", result.BagOfWords, metric)
		words, constant := baselineNames(result)
		all.add(words, result.TFIDF, metric)
		all.add(constant, result.Majority, metric)
	}
	return all, nil
}

// spreadTable has a row for each of what is compared, below a first column of the given name if that is not empty.
func spreadTable(first, metric string) table.Table {
	t := table.Table{}
	if first != "" {
		t.Columns = append(t.Columns, table.Column{Name: first, Align: table.Right})
	}
	t.Columns = append(t.Columns, table.Column{Name: "classifier"})
	for _, name := range []string{spoken(metric) + ", median", "lowest", "highest"} {
		t.Columns = append(t.Columns, table.Column{Name: name, Align: table.Right, Format: "%.3f"})
	}
	t.Columns = append(t.Columns, table.Column{Name: "runs", Align: table.Right})
	return t
}

func (s spreads) rows(first ...any) (rows [][]any) {
	for _, name := range s.names {
		spread := tasks.SpreadOf(s.values[name])
		rows = append(rows, append(append([]any{}, first...), name, spread.Median, spread.Lowest, spread.Highest, spread.N))
	}
	return rows
}

// repeat fine-tunes at several seeds.
func (s *tuning) repeat() error {
	s.plan(s.flags.seeds)
	all, err := s.points(func(int64) (tasks.Task, error) { return s.task, nil })
	if err != nil {
		return err
	}
	t := spreadTable("", s.task.About().Metric)
	t.Rows = all.rows()
	printTable(s.cmd.OutOrStdout(), t)
	return nil
}

// count reads one of --shots; 0 is all.
func (s *tuning) count(shots string) (int, error) {
	if shots == "all" {
		return 0, nil
	}
	n, err := strconv.Atoi(shots)
	if err != nil || n < 1 {
		return 0, usererr.New("--shots takes numbers from 1, and all, with commas between; %q is neither", shots)
	}
	_, err = tasks.Few(s.task, n, 0)
	return n, err
}

// few is the task with n training texts, of each class of a classification; 0 is all.
func (s *tuning) few(n int, seed int64) (tasks.Task, error) {
	if n == 0 {
		return s.task, nil
	}
	return tasks.Few(s.task, n, seed)
}

// curve fine-tunes on few texts and on more, each number at several draws.
func (s *tuning) curve() error {
	counts := make([]int, len(s.flags.shots)) // 0 is all
	for i, shots := range s.flags.shots {
		var err error
		if counts[i], err = s.count(shots); err != nil {
			return err
		}
	}
	s.plan(len(counts) * s.flags.seeds)
	t := spreadTable("texts a class", s.task.About().Metric)
	if len(s.task.About().Classes) == 0 {
		t.Columns[0].Name = "texts"
	}
	for i, n := range counts {
		all, err := s.points(func(seed int64) (tasks.Task, error) { return s.few(n, seed) })
		if err != nil {
			return err
		}
		t.Rows = append(t.Rows, all.rows(s.flags.shots[i])...)
	}
	printTable(s.cmd.OutOrStdout(), t)
	return nil
}
