// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// quick are options that measure little, on be.
func quick(be compute.Backend) Options {
	runner := &training.Runner{Backend: be, BackendKind: be.Name(), Provenance: runs.Backend{Name: be.Name()}}
	return Options{Runner: runner, Repeat: 2, Each: 20 * time.Millisecond}
}

func micro() Training { return Training{"micro", recipes.Micro()} }

// Every metric of the step is there once a repetition, and what is a share is one. Nothing stays behind.
func TestStep(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		t.Setenv("TMPDIR", t.TempDir())
		o := quick(be)
		var shares []float64
		o.Progress = func(done, total int, doing string) {
			require.NotEmpty(t, doing)
			shares = append(shares, float64(done)/float64(total))
		}
		r, err := Step(t.Context(), o, []Training{micro()})
		require.NoError(t, err)
		require.False(t, r.Interrupted)
		require.IsNonDecreasing(t, shares)
		require.InDelta(t, 1, shares[len(shares)-1], 1e-3)
		require.Len(t, r.Cases, 1)
		c, found := r.Case("micro")
		require.True(t, found)
		require.Equal(t, [3]int{8, 16, 300}, [3]int{c.Rows, c.Length, c.Vocab})
		for _, key := range []string{StepSeconds, TokensPerSecond, TokensPerProcessorSecond, FLOPsPerSecond, PeakFLOPsPerSecond, PeakShare, LoaderShare, HostShare} {
			require.Len(t, c.Samples[key], 2, key)
		}
		for _, key := range []string{CompileSeconds, PeakMemory} {
			require.Len(t, c.Samples[key], 1, key)
			require.Positive(t, c.Samples[key][0], key)
		}
		for i, seconds := range c.Samples[StepSeconds] {
			require.Positive(t, seconds)
			require.InEpsilon(t, 8*16/seconds, c.Samples[TokensPerSecond][i], 1e-9)
			require.InEpsilon(t, c.FLOPs.Total()/seconds, c.Samples[FLOPsPerSecond][i], 1e-9)
			for _, key := range []string{LoaderShare, HostShare} {
				require.GreaterOrEqual(t, c.Samples[key][i], 0.0, key)
				require.Less(t, c.Samples[key][i], 1.0, key)
			}
		}
		left, err := os.ReadDir(os.Getenv("TMPDIR"))
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// Who stops a suite has what was measured until then.
func TestInterruptedStep(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	o := quick(backendtest.Go(t))
	o.Repeat, o.Each = 100, time.Millisecond
	o.Progress = func(done, total int, _ string) {
		if 25*done > total {
			stop()
		}
	}
	r, err := Step(ctx, o, []Training{micro()})
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, r.Interrupted)
	require.Len(t, r.Cases, 1)
	require.NotEmpty(t, r.Cases[0].Samples[StepSeconds])
}

// Every component is timed once a repetition.
func TestComponents(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		t.Setenv("TMPDIR", t.TempDir())
		o := quick(be)
		o.Each = 100 * time.Millisecond // a tenth of it is the least
		r, err := Components(t.Context(), o, micro())
		require.NoError(t, err)
		for _, name := range []string{
			"position bias", "attention", "CLM head", "sampling", "masking", "tokenizer", "loader", "checkpoint save", "checkpoint load",
		} {
			c, found := r.Case(name)
			require.True(t, found, name)
			require.Len(t, c.Samples[CallSeconds], 2, name)
			require.Positive(t, c.Median(CallSeconds), name)
		}
		left, err := os.ReadDir(os.Getenv("TMPDIR"))
		require.NoError(t, err)
		require.Empty(t, left)
		f, err := r.Figure()
		require.NoError(t, err)
		require.Contains(t, f.Alt, "attention")
	})
}

// A size grows alone, with its cost.
func TestScale(t *testing.T) {
	o := quick(backendtest.Go(t))
	o.Repeat = 1
	r, err := Scale(t.Context(), o, micro(), "vocabulary")
	require.NoError(t, err)
	require.Len(t, r.Cases, 4)
	points := r.series("vocabulary")
	require.Len(t, points, 4)
	for i := range points[1:] {
		require.Greater(t, points[i+1].FLOPs.Total(), points[i].FLOPs.Total())
	}
	_, known := r.Exponent("vocabulary")
	require.True(t, known)
	largest, _ := r.Case("vocabulary ×8")
	require.Equal(t, [3]int{8, 16, 2400}, [3]int{largest.Rows, largest.Length, largest.Vocab})
	f, err := r.Figure()
	require.NoError(t, err)
	require.Contains(t, f.Alt, "vocabulary")

	_, err = Scale(t.Context(), quick(backendtest.Go(t)), micro(), "height")
	require.EqualError(t, err, `there is no size "height" that can grow; there are length, width, depth, vocabulary, batch`)
}

func TestEverySizeGrows(t *testing.T) {
	for _, name := range []string{"micro", "tiny", "electra-small", "metro-base"} {
		base, err := ParseCase(name)
		require.NoError(t, err)
		list, err := grown(base, nil)
		require.NoError(t, err)
		require.Len(t, list, 1+len(axes)*len(factors))
		least, err := base.Config.FLOPs(base.Config.Data.VocabSize)
		require.NoError(t, err)
		for _, g := range list[1:] {
			more, err := g.Config.FLOPs(g.Config.Data.VocabSize)
			require.NoError(t, err)
			require.Greater(t, more.Total(), least.Total(), "%s: %s", name, g.Name)
		}
	}
}

func TestParseCase(t *testing.T) {
	for spec, want := range map[string][2]int{
		"tiny": {32, 32}, "mini": {32, 64}, "electra-small": {16, 128}, "electra-small@512": {4, 512}, "metro-base@128": {4, 128}, "metro-base": {1, 512},
	} {
		c, err := ParseCase(spec)
		require.NoError(t, err)
		require.Equal(t, spec, c.Name)
		require.Equal(t, want, [2]int{c.Config.Training.BatchSize, c.Config.Data.SeqLen}, spec)
	}
	c, err := ParseCase("tiny", "training.batch_size=128")
	require.NoError(t, err)
	require.Equal(t, 128, c.Config.Training.BatchSize)
	for _, spec := range []string{"tinny", "tiny@", "tiny@1", "tiny@long", ""} {
		_, err := ParseCase(spec)
		require.True(t, usererr.Is(err), "%q: %v", spec, err)
	}
	for _, spec := range StepCases() {
		_, err := ParseCase(spec)
		require.NoError(t, err)
	}
}
