// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
)

// The table of metrics and what runs record are the same: every number that an objective records has a row, its own or
// that of the metric that it is on held-out text, and every row is recorded by some objective.
func TestEveryMetricIsInTheTable(t *testing.T) {
	recorded := map[string]bool{}
	for _, objective := range metro.Choices()["objective.name"] {
		if strings.HasPrefix(objective, "test_") {
			continue // registered by another test
		}
		c := micro(2)
		c.Training.LogEvery, c.Training.EvalEvery, c.Optimizer.WarmupSteps = 1, 2, 1
		c.Objective.Name, c.Evaluation.Metrics = objective, "tie_cosine"
		result, err := runner(t, backendtest.Go(t)).Run(t.Context(), "metrics", c, nil)
		require.NoError(t, err, objective)
		rows, err := runs.ReadMetrics(result.Run.Path(runs.MetricsFile))
		require.NoError(t, err)
		for _, key := range runs.Recorded(rows) {
			recorded[key] = true
			require.True(t, known(key), "%s records %s, which has no row", objective, key)
			require.NotEmpty(t, metrics.Of(key).Meaning, key)
		}
	}
	for _, m := range metrics.All() {
		require.True(t, recorded[m.Key], "no objective records %s", m.Key)
	}
}

func known(key string) bool {
	return slices.ContainsFunc(metrics.All(), func(m metrics.Metric) bool {
		return m.Key == key || m.Key == strings.TrimPrefix(key, "val_")
	})
}
