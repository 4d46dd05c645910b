// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

type sinkFunc func(step int, values Values) error

func (f sinkFunc) Record(step int, values Values) error { return f(step, values) }

// All sinks get every record, whichever of them fails.
func TestSinksFanOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), MetricsFile)
	log, err := OpenMetrics(path, nil)
	require.NoError(t, err)
	full := errors.New("full")
	var seen []Row
	sinks := Sinks{
		sinkFunc(func(int, Values) error { return full }), log,
		sinkFunc(func(step int, values Values) error { seen = append(seen, Row{step, values}); return nil }),
	}
	require.ErrorIs(t, sinks.Record(3, Values{"loss": 2}), full)
	require.NoError(t, log.Close())
	rows, err := ReadMetrics(path)
	require.NoError(t, err)
	require.Equal(t, []Row{{3, Values{"loss": 2}}}, rows)
	require.Equal(t, rows, seen)
	require.NoError(t, Sinks(nil).Record(3, Values{"loss": 2}))
}
