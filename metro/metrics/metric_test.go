// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/metrics"
)

// The families: a held-out metric, a loss and a metric that only the user's program knows.
func TestFamilies(t *testing.T) {
	require.Equal(t, metrics.Metric{
		Key: "val_generator_loss", Label: "generator loss on held-out text", Format: "%.4f", Better: metrics.LowerIsBetter,
		Meaning: "cross-entropy of the generator at masked positions, nats, on the validation split",
	}, metrics.Of("val_generator_loss"))
	require.Equal(t, "RTD AUC against the run's own generator", metrics.Of("val_rtd_auc").Label)
	require.Equal(t, metrics.Metric{Key: "mine_loss", Label: "mine loss", Format: "%.4f", Better: metrics.LowerIsBetter}, metrics.Of("mine_loss"))
	require.Equal(t, metrics.Metric{Key: "sure", Label: "sure", Format: "%.4f"}, metrics.Of("sure"))
	require.Equal(t, metrics.Metric{Key: "val_sure", Label: "sure on held-out text", Format: "%.4f"}, metrics.Of("val_sure"))
	for _, odd := range []string{"", "val_", "_loss"} {
		require.Equal(t, odd, metrics.Of(odd).Label)
	}
}

func TestTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range metrics.All() {
		require.Equal(t, m, metrics.Of(m.Key))
		require.False(t, seen[m.Key], "%s twice", m.Key)
		seen[m.Key] = true
		require.NotEmpty(t, m.Label, m.Key)
		require.NotEmpty(t, m.Meaning, m.Key)
		require.NotContains(t, fmt.Sprintf(m.Format, 0.5), "%", m.Key)
	}
	require.Equal(t, []string{"seconds", "tokens_per_second", "loader_wait_seconds"}, metrics.Timings())
}

func ExampleOf() {
	m := metrics.Of("val_generator_loss")
	fmt.Println(m.Label)
	fmt.Println(m.Meaning)
	fmt.Printf(m.Format+", "+string(m.Better)+" is better\n", 2.71828)
	// Output:
	// generator loss on held-out text
	// cross-entropy of the generator at masked positions, nats, on the validation split
	// 2.7183, lower is better
}
