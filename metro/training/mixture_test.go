// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/training"
)

// Text mixed in is an arm: by its content and its weight another run, measured on the same held-out sets as one without it.
func TestAMixtureIsAnArm(t *testing.T) {
	t.Setenv("METROLAB_CACHE", t.TempDir())
	r := runner(t, backendtest.Go(t))
	write := func(name, form string) string {
		path := filepath.Join(t.TempDir(), name)
		var all strings.Builder
		for i := range 1200 {
			fmt.Fprintf(&all, form, i, i%7)
		}
		require.NoError(t, os.WriteFile(path, []byte(all.String()), 0o600))
		return path
	}
	const prose = "the reader opens file %d of %d.\n\n"
	own := "data.corpus=" + write("own.txt", prose)
	run := func(assignments ...string) (training.Result, training.RunIdentity) {
		job, err := r.Open(t.Context(), "run", assigned(t, assignments...))
		require.NoError(t, err)
		result, err := r.Run(t.Context(), "run", assigned(t, assignments...), nil)
		require.NoError(t, err)
		return result, job.Identity()
	}
	id := func(assignments ...string) string {
		job, err := r.Open(t.Context(), "run", assigned(t, assignments...))
		require.NoError(t, err)
		return job.ID
	}
	lines := write("lines.jsonl", `{"body": "a shelf of %d books, %d of them read"}`+"\n")
	alone, _ := run(own)
	mixed, identity := run(own, "data.mixture="+lines+"#body=0.4")
	require.Len(t, identity.Mixture, 1)
	require.Equal(t, 400, identity.Mixture[0].Share)
	require.NotEqual(t, alone.Run.Dir, mixed.Run.Dir)
	require.NotEqual(t, alone.Metrics["val_loss"], mixed.Metrics["val_loss"])
	require.NotEmpty(t, mixed.HeldOut())
	require.Equal(t, alone.HeldOut(), mixed.HeldOut(), "held-out sets, and what counts score on them, are of the own text")

	same := write("elsewhere.txt", "a shelf of %d books, %d of them read\n\n")
	require.Equal(t, filepath.Base(mixed.Run.Dir), id(own, "data.mixture="+same+"=0.4"), "what lies there counts, not where")
	require.NotEqual(t, filepath.Base(mixed.Run.Dir), id(own, "data.mixture="+same+"=0.3"))
	require.NotEqual(t, filepath.Base(mixed.Run.Dir), id(own, "data.mixture="+write("c.txt", "a pile of %d books, %d of them read\n\n")+"=0.4"))

	const mixing, words = "data.mixture=", 1200*7 + 1200*9
	require.Equal(t, filepath.Base(mixed.Run.Dir), id(own, mixing+same+"=0.4", fmt.Sprint("training.word_budget=", words)))
	_, err := r.Open(t.Context(), "run", assigned(t, own, mixing+same+"=0.4", fmt.Sprint("training.word_budget=", words-1)))
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "the text has 19,200 words, and training.word_budget allows 19,199")

	_, err = r.Open(t.Context(), "run", assigned(t, own, "data.mixture=absent.txt=0.4"))
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "data.mixture: ")
}
