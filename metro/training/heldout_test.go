// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/data"
	"metrolab/metro/metrics"
	"metrolab/metro/training"
)

// measured is a run of one step that moves no weight, so that all of one seed and shape are measured with the same ones.
func measured(t *testing.T, be compute.Backend, assignments ...string) training.Result {
	t.Helper()
	c := assigned(t, append([]string{"training.steps=1", "training.log_every=1", "training.eval_every=1", "optimizer.learning_rate=0", "optimizer.warmup_steps=0"}, assignments...)...)
	result, err := runner(t, be).Run(t.Context(), "still", c, nil)
	require.NoError(t, err)
	return result
}

// What is measured depends on no batch, to the last bit, on every backend; and evaluation.rows are that many rows.
func TestHeldOutDependsOnNoBatch(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		const rows = "evaluation.rows=9" // no multiple of any
		want := measured(t, be, rows, "training.batch_size=8")
		require.Len(t, want.HeldOut(), 5)
		others := [][]string{{"training.batch_size=7"}, {"training.batch_size=8", "training.accumulate=4"}, {"training.batch_size=4"}, {"training.batch_size=32"}}
		if kind(be) != "go" {
			others = others[:2] // each compiles
		}
		for _, assignments := range others {
			got := measured(t, be, append(assignments, rows)...)
			require.Equal(t, want.HeldOut(), got.HeldOut(), assignments)
			for name, value := range want.Metrics {
				if strings.HasPrefix(name, "frozen_") || strings.HasPrefix(name, "val_") && value == value {
					require.Equal(t, value, got.Metrics[name], "%s: %s", assignments, name)
				}
			}
		}
		other := measured(t, be, "evaluation.rows=10", "training.batch_size=8").HeldOut()
		for name, set := range want.HeldOut() {
			require.Equal(t, name == training.FrozenWords, set.Fingerprint == other[name].Fingerprint, name)
		}
	})
}

// Runs that cut the same text into other tokens and rows are asked about the same words.
func TestFrozenWordsServeEveryTokenizer(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		want := measured(t, be)
		words := want.HeldOut()[training.FrozenWords]
		require.Greater(t, words.Replaced, 100)
		require.Greater(t, words.Scored, 5*words.Replaced)
		for _, assignment := range []string{"data.vocab_size=100", "data.seq_len=32", "data.lowercase=false"} {
			got := measured(t, be, assignment)
			require.Equal(t, words, got.HeldOut()[training.FrozenWords], assignment)
			auc := got.Metrics[training.FrozenWords]
			require.True(t, auc > 0 && auc < 1, "%s: %g", assignment, auc)
			for _, set := range []string{training.FrozenUnigram, training.FrozenBigram, training.Validation} {
				require.NotEqual(t, want.HeldOut()[set].Fingerprint, got.HeldOut()[set].Fingerprint, "%s: %s", assignment, set)
			}
		}
	})
}

// Backends measure the same sets, and come to the same numbers but for rounding.
func TestBackendsAgreeOnWhatIsHeldOut(t *testing.T) {
	a, b := measured(t, backendtest.Go(t)), measured(t, backendtest.XLA(t))
	require.Equal(t, a.HeldOut(), b.HeldOut())
	for _, name := range []string{training.FrozenUnigram, training.FrozenBigram, training.FrozenWords} {
		require.InDelta(t, a.Metrics[name], b.Metrics[name], 1e-3, name)
	}
}

// Who knows special tokens alone is at chance to the last bit, and the scorers without a model are those that have a name.
func TestFrozenSetsCountOrdinaryTokens(t *testing.T) {
	d, err := runner(t, backendtest.Go(t)).Dataset(t.Context(), micro(1), nil)
	require.NoError(t, err)
	counts, err := d.Counts()
	require.NoError(t, err)
	set, err := data.Freeze(d.Test, 30, data.FrozenRate, d.Maskable, data.UnigramFaker{Counts: counts})
	require.NoError(t, err)
	special := make([]float32, len(set.Corrupted))
	for i, id := range set.Corrupted {
		if !d.Maskable(id) {
			special[i] = -1
		}
	}
	require.Equal(t, 0.5, training.AUC(set.Answers(special)))
	replaced := append([]bool(nil), set.Replaced...)
	require.Greater(t, training.AUC(special, replaced), 0.51, "counted with the rest, they would say something")

	trivial := measured(t, backendtest.Go(t)).HeldOut()[training.FrozenUnigram].Trivial
	require.Len(t, trivial, len(metrics.References()))
	for _, reference := range metrics.References() {
		require.Contains(t, trivial, reference.Name)
	}
	require.Greater(t, trivial["surprise"], 0.9, "the text has a simple grammar")
}

// A set so small that nothing in it was replaced has no outcome, and can be written down.
func TestHeldOutSetWithoutAFake(t *testing.T) {
	set := training.Describe("print", data.Trivial{data.ByRarity: {1, 2}}, func(scores []float32) ([]float32, []bool) { return scores, []bool{false, false} })
	require.Equal(t, training.HeldOutSet{Fingerprint: "print", Scored: 2, Trivial: map[string]float64{}}, set)
	_, err := json.Marshal(training.PretrainingDetails{HeldOut: map[string]training.HeldOutSet{training.FrozenWords: set}})
	require.NoError(t, err)
}
