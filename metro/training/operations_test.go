// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/runs"
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
