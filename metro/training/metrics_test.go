// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/training"
)

// The table of metrics and what runs record are the same: every number that an objective or a fine-tuning records has a
// row, its own or that of the metric that it is on held-out text, and every row is recorded by some run.
func TestEveryMetricIsInTheTable(t *testing.T) {
	recorded := map[string]bool{}
	look := func(run *runs.Run, what string) {
		rows, err := runs.ReadMetrics(run.Path(runs.MetricsFile))
		require.NoError(t, err)
		for _, key := range runs.Recorded(rows) {
			recorded[key] = true
			require.True(t, known(key), "%s records %s, which has no row", what, key)
			require.NotEmpty(t, metrics.Of(key).Meaning, key)
		}
	}
	r := runner(t, backendtest.Go(t))
	var last *runs.Run
	for _, objective := range metro.Choices()["objective.name"] {
		if strings.HasPrefix(objective, "test_") {
			continue // registered by another test
		}
		c := micro(2)
		c.Training.LogEvery, c.Training.EvalEvery, c.Optimizer.WarmupSteps = 1, 2, 1
		c.Objective.Name = objective
		if objective == "rtd_clm_exits" {
			c.Main.Layers = 2 // one below the last
		}
		if objective != "mlm" { // has no generator
			c.Evaluation.Metrics = "tie_cosine"
		}
		result, err := r.Run(t.Context(), "metrics", c, nil)
		require.NoError(t, err, objective)
		look(result.Run, objective)
		last = result.Run
	}
	c := micro(2)
	c.Training.LogEvery, c.Training.EvalEvery, c.Optimizer.WarmupSteps = 1, 2, 1
	require.NoError(t, c.SetAll("main.feed_forward=moe", "generator.feed_forward=moe"))
	result, err := r.Run(t.Context(), "metrics", c, nil)
	require.NoError(t, err)
	look(result.Run, "a model with experts")
	for _, task := range tasksOfAllKinds(t) {
		look(finetuned(t, r, last.Dir, task), "fine-tuning on "+task.About().Name)
	}
	for _, m := range metrics.All() {
		require.True(t, recorded[m.Key], "nothing records %s", m.Key)
	}
}

// tasksOfAllKinds are tasks that between them have every metric.
func tasksOfAllKinds(t *testing.T) []tasks.Task {
	t.Helper()
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "{\"text\": \"the reader opens file %d\", \"label\": \"%d\"}\n", i, i%2)
	}
	path := filepath.Join(t.TempDir(), "task.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(lines.String()), 0o600))
	labelled, err := tasks.ReadTask(path)
	require.NoError(t, err)

	classes := tasks.Classification{Name: "classes", Source: "classes", Classes: []string{"no", "yes"}, Whole: true, Metrics: []string{"f1", "macro_f1", "matthews", "balanced_accuracy", "accuracy"}}
	numbers := tasks.Regression{Name: "numbers", Source: "numbers", Metrics: []string{"pearson", "spearman", "mse"}}
	tags := tasks.Tagging{Name: "tags", Source: "tags", Tags: []string{"B-FILE", "O"}, Metrics: []string{"entity_f1", "entity_precision", "entity_recall", "accuracy"}}
	spans := tasks.Spans{Name: "spans", Source: "spans"}
	for i := range 16 {
		text := fmt.Sprintf("the file %d is open", i)
		classes.Train = append(classes.Train, tasks.Example{Text: text, Class: i % 2})
		numbers.Train = append(numbers.Train, tasks.Rated{Text: text, Value: float64(i)})
		tags.Train = append(tags.Train, tasks.Sentence{Words: []string{"the", "file"}, Tags: []string{"O", "B-FILE"}})
		spans.Train = append(spans.Train, tasks.Asked{ID: text, Question: "what", Context: text, Answers: []tasks.Answer{{Text: "file", Start: 4}}})
	}
	classes.Test, classes.Validation, numbers.Test, tags.Test, spans.Test = classes.Train, classes.Train, numbers.Train, tags.Train, spans.Train
	return []tasks.Task{labelled, classes, numbers, tags, spans}
}

// finetuned is a run of two steps on a task.
func finetuned(t *testing.T, r *training.Runner, dir string, task tasks.Task) *runs.Run {
	t.Helper()
	model, err := training.LoadPretrained(dir)
	require.NoError(t, err)
	result, err := tasks.Finetune(t.Context(), r, model, task, tasks.Options{Steps: 2}, nil)
	require.NoError(t, err)
	return result.Run
}

func known(key string) bool {
	return slices.ContainsFunc(metrics.All(), func(m metrics.Metric) bool {
		own := m.Key == key || m.Key == strings.TrimPrefix(key, "val_") || m.Key == "test_"+strings.TrimPrefix(key, "dev_")
		own = own || m.Key == "frozen_ece" && strings.HasPrefix(key, "frozen_ece_")
		for _, prefix := range []string{"test_majority_", "test_bag_of_words_", "test_tfidf_"} {
			own = own || m.Key == "test_"+strings.TrimPrefix(key, prefix)
		}
		return own
	})
}
