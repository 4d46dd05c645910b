// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
)

// Above 1 a reader with early exits says what the detector says, to the bit, after all layers; at one half it stops behind the first
// head, with the answers of that head. In between a token has the depth at which it left, unless its batch stopped before.
func TestReaderWithEarlyExits(t *testing.T) {
	texts := []string{strings.Repeat("the 3 readers open 4 files and close them. ", 12), "", "noon", "the files before"}
	read := func(o ReaderOptions) ([]Reading, *Reader) {
		r := newReader(t, "rtd_clm_exits", o)
		readings, err := r.Texts(t.Context(), texts...)
		require.NoError(t, err)
		return readings, r
	}
	full, _ := read(ReaderOptions{})
	never, r := read(ReaderOptions{Exit: 1.000001, Share: 1})
	for i := range full {
		require.Equal(t, full[i].RTDLogits, never[i].RTDLogits)
		require.Nil(t, full[i].ExitLayers)
		require.Nil(t, never[i].Corrections, "the detector alone is asked")
	}
	said := r.Exits()
	require.Equal(t, 3.0, said.MeanDepth())
	require.Equal(t, 1.0, said.Theoretical())
	require.Equal(t, 1.0, said.Computed())

	always, r := read(ReaderOptions{Exit: 0.5, Share: 1})
	require.Equal(t, 1.0, r.Exits().MeanDepth())
	require.InDelta(t, 1.0/3, r.Exits().Computed(), 1e-12)
	require.NotEqual(t, full[0].RTDLogits, always[0].RTDLogits)
	for _, depth := range always[0].ExitLayers {
		require.EqualValues(t, 1, depth)
	}
	ratios, err := r.TimeExits()
	require.NoError(t, err)
	require.Len(t, ratios, timedRounds)
	require.Positive(t, ratios[0])

	// A threshold that some tokens reach at the first head: half of them are enough to stop there, so that none goes on.
	threshold := 0.0
	for _, z := range always[0].RTDLogits {
		threshold += max(sigmoid(z), 1-sigmoid(z)) / float64(len(always[0].RTDLogits))
	}
	all, r := read(ReaderOptions{Exit: threshold, Share: 1})
	some, few := read(ReaderOptions{Exit: threshold, Share: 0.01})
	require.Greater(t, r.Exits().MeanDepth(), 1.0)
	require.Greater(t, r.Exits().Computed(), few.Exits().Computed())
	require.Less(t, few.Exits().MeanDepth(), r.Exits().MeanDepth())
	left := 0
	for i, depth := range all[0].ExitLayers {
		if depth == 1 {
			require.Equal(t, always[0].RTDLogits[i], all[0].RTDLogits[i])
			left++
		}
		require.EqualValues(t, 1, some[0].ExitLayers[i])
	}
	require.Positive(t, left)
}

func TestReadersWithoutEarlyExits(t *testing.T) {
	for _, test := range []struct {
		objective string
		options   ReaderOptions
		want      string
	}{
		{"rtd_clm", ReaderOptions{Exit: 0.9, Share: 1}, "has no RTD heads below the last layer, at which tokens could leave (objective.name=rtd_clm); train one by objective.name=rtd_clm_exits, or leave out --exit"},
		{"rtd_clm_exits", ReaderOptions{Exit: 0.9, Share: 1, Hidden: true}, "leave out --hidden, or --exit"},
		{"rtd_clm_exits", ReaderOptions{Exit: 0.9}, "--exit-share must be above 0, at most 1, it is 0"},
	} {
		_, err := NewReader(backendtest.Go(t), pretrained(t, test.objective), test.options)
		require.ErrorContains(t, err, test.want)
		require.True(t, usererr.Is(err))
	}
}
