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
		if objective != "mlm" { // has no generator
			c.Evaluation.Metrics = "tie_cosine"
		}
		result, err := r.Run(t.Context(), "metrics", c, nil)
		require.NoError(t, err, objective)
		look(result.Run, objective)
		last = result.Run
	}
	look(finetuned(t, r, last.Dir), "fine-tuning")
	for _, m := range metrics.All() {
		require.True(t, recorded[m.Key], "nothing records %s", m.Key)
	}
}

// finetuned is a run of two steps on a task of two classes.
func finetuned(t *testing.T, r *training.Runner, dir string) *runs.Run {
	t.Helper()
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "{\"text\": \"the reader opens file %d\", \"label\": \"%d\"}\n", i, i%2)
	}
	path := filepath.Join(t.TempDir(), "task.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(lines.String()), 0o600))
	task, err := tasks.ReadTask(path)
	require.NoError(t, err)
	model, err := training.LoadPretrained(dir)
	require.NoError(t, err)
	result, err := tasks.Finetune(t.Context(), r, model, task, tasks.Options{Steps: 2}, nil)
	require.NoError(t, err)
	return result.Run
}

func known(key string) bool {
	return slices.ContainsFunc(metrics.All(), func(m metrics.Metric) bool {
		return m.Key == key || m.Key == strings.TrimPrefix(key, "val_")
	})
}
