// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
)

// Tiny must learn within its own budget: the main model tells its generator's fakes from originals (RTD AUC ≥ 0.65
// on the validation split), and the generator is right 1.4 times as often as always guessing the most frequent token.
// METROLAB_TEST_LEARNING lists the seeds to train, such as 0,1,2,3,4.
func TestTinyLearns(t *testing.T) {
	wanted := os.Getenv("METROLAB_TEST_LEARNING")
	if wanted == "" {
		t.Skip("takes minutes; set METROLAB_TEST_LEARNING=0 to train the tiny recipe at seed 0 for a minute or two; scripts/test does")
	}
	be := backendtest.XLA(t)
	cache := t.TempDir()
	corpus, err := text.Prepare(t.Context(), text.Default, cache, nil)
	require.NoError(t, err)
	r := &training.Runner{Backend: be, Fit: workspace.Fit(be), BackendKind: "xla-cpu", Corpus: corpus, CacheDir: cache, Store: runs.Store{Root: filepath.Join(cache, "runs")}}
	for _, word := range strings.Split(wanted, ",") {
		c := recipes.Tiny()
		c.Seed, err = strconv.ParseInt(word, 10, 64)
		require.NoError(t, err)
		result, err := r.Run(t.Context(), "tiny", c, nil)
		require.NoError(t, err)
		dataset, err := r.Dataset(t.Context(), c, nil)
		require.NoError(t, err)
		counts, err := dataset.Counts()
		require.NoError(t, err)
		auc, accuracy, majority := result.Metrics["val_rtd_auc"], result.Metrics["val_generator_accuracy"], counts.Majority()
		t.Logf("seed %d: RTD AUC %.4f, generator accuracy %.4f = %.2f × majority %.4f, frozen AUC bigram %.4f, unigram %.4f, %.0f s",
			c.Seed, auc, accuracy, accuracy/majority, majority, result.Metrics["frozen_auc_bigram"], result.Metrics["frozen_auc_unigram"], result.Seconds)
		require.GreaterOrEqual(t, auc, 0.65)
		require.GreaterOrEqual(t, accuracy, 1.4*majority)
	}
}
