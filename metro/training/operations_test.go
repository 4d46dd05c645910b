// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// A field of the class operation says how a run is looked after and decides none of its numbers: with another value it is
// the same run by the same program, its weights and moments are the same to the bit, and so is whatever both write down.
func TestOperationsDecideNothing(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		c := assigned(t, "training.steps=12", "training.log_every=3", "training.eval_every=6", "training.checkpoint_every=6")
		base, err := runner(t, be).Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		_, weights := lastCheckpoint(t, base.Run)
		records := recordsOf(t, base.Run)

		all := c
		others := map[string]metro.Config{}
		for _, f := range c.Fields() {
			if f.Class == metro.ClassOperation {
				other, assignment := c, f.Path+"="+anotherValue(t, f)
				require.NoError(t, other.Set(assignment))
				require.NoError(t, all.Set(assignment))
				others[assignment] = other
			}
		}
		require.NotEmpty(t, others)
		others["all of them"] = all
		for name, other := range others {
			require.Equal(t, c.GraphKey(), other.GraphKey(), name)
			result, err := runner(t, be).Run(t.Context(), "run", other, nil)
			require.NoError(t, err, name)
			require.Equal(t, base.Run.ID, result.Run.ID, name)
			_, got := lastCheckpoint(t, result.Run)
			require.True(t, weights == got, "%s: the variables differ", name)
			require.Equal(t, line(t, base.Metrics), line(t, result.Metrics), name)
			for what, values := range recordsOf(t, result.Run) {
				if want, ok := records[what]; ok {
					require.Equal(t, want, values, "%s: %s", name, what)
				}
			}
		}
	})
}

// anotherValue is a value that f does not have and a run can have.
func anotherValue(t *testing.T, f metro.FieldState) string {
	t.Helper()
	if f.Path == "training.word_budget" {
		return "1000000" // a smaller one refuses the text
	}
	switch value := f.Value.(type) {
	case int:
		return strconv.Itoa(value + 1)
	case bool:
		return strconv.FormatBool(!value)
	}
	require.Fail(t, "no other value of "+f.Path+" is known: say in anotherValue what one is")
	return ""
}

// recordsOf are the records of a run without timings, a line each: what was measured at a step, and what sums up the steps
// since the record before.
func recordsOf(t *testing.T, run *runs.Run) map[string]string {
	t.Helper()
	records, logged := map[string]string{}, 0
	for _, row := range metricsOf(t, run) {
		held, window := runs.Values{}, runs.Values{}
		for name, value := range row.Values {
			if strings.HasPrefix(name, "val_") || strings.HasPrefix(name, "frozen_") {
				held[name] = value
			} else {
				window[name] = value
			}
		}
		if len(held) > 0 {
			records[fmt.Sprintf("evaluation at step %d", row.Step)] = line(t, held)
		}
		if len(window) > 0 {
			records[fmt.Sprintf("record of steps %d to %d", logged+1, row.Step)] = line(t, window)
			logged = row.Step
		}
	}
	return records
}

// The text is in the config, so that it can be an arm: another text is another run, the same text under another path the same
// one, and both are trained by one runner.
func TestTheTextIsInTheConfig(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	write := func(name, verb string) string {
		path := filepath.Join(t.TempDir(), name)
		var prose strings.Builder
		for i := range 1200 {
			fmt.Fprintf(&prose, "the reader %s file %d of %d.\n\n", verb, i, i%7)
		}
		require.NoError(t, os.WriteFile(path, []byte(prose.String()), 0o600))
		return path
	}
	t.Setenv("METROLAB_CACHE", t.TempDir())
	open := func(path string) (string, training.RunIdentity) {
		job, err := r.Open(t.Context(), "run", assigned(t, "data.corpus="+path))
		require.NoError(t, err)
		return job.ID, job.Identity()
	}
	one, identity := open(write("a.txt", "opens"))
	same, again := open(write("a.txt", "opens"))
	other, otherIdentity := open(write("a.txt", "closes"))
	require.Equal(t, one, same)
	require.NotEqual(t, identity.Config.Data.Corpus, again.Config.Data.Corpus)
	require.NotEqual(t, one, other)
	require.NotEqual(t, identity.Corpus, otherIdentity.Corpus)
	own, _ := open("")
	require.NotEqual(t, one, own, "the runner's own text")

	result, err := r.Run(t.Context(), "run", assigned(t, "data.corpus="+write("b.txt", "opens")), nil)
	require.NoError(t, err)
	require.Empty(t, result.Diverged)
	_, err = r.Open(t.Context(), "run", assigned(t, "data.corpus="+filepath.Join(t.TempDir(), "absent.txt")))
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "data.corpus: ")
}
