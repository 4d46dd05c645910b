// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBench(t *testing.T) {
	calls := map[string]int{}
	timed := func(name string) Timed {
		return Timed{name, func() { calls[name]++; time.Sleep(time.Microsecond) }}
	}
	timings, err := Bench("Sleeping", 20*time.Millisecond, timed("one"), timed("two\nlines"))
	require.NoError(t, err)
	require.Len(t, timings.Functions, 2)
	for i, name := range []string{"one", "two\nlines"} {
		require.Equal(t, name, timings.Functions[i].Name)
		require.Greater(t, calls[name], 5, "after five to warm up")
		require.GreaterOrEqual(t, timings.Functions[i].Q5, time.Microsecond)
	}
	f, err := timings.Figure()
	require.NoError(t, err, "quantiles grow")
	require.Contains(t, f.Alt, "two lines")
	_, err = timings.Table().Markdown()
	require.NoError(t, err)
}

func TestBenchRefusesNothing(t *testing.T) {
	_, err := Bench("b", time.Second)
	require.EqualError(t, err, `viz: bench "b": 0 functions for 1s each; it takes one or more for 10ms or longer`)
	_, err = Bench("b", 0, Timed{"a", func() {}})
	require.EqualError(t, err, `viz: bench "b": 1 functions for 0s each; it takes one or more for 10ms or longer`)
	_, err = Bench("b", time.Second, Timed{"a", nil})
	require.EqualError(t, err, `viz: bench "b": function "a" is nil`)
	_, err = Timings{Name: "t"}.Figure()
	require.EqualError(t, err, `viz: timings "t": nothing to draw: no functions`)
	_, err = Timings{Name: "t", Functions: []Timing{{Name: "a", Q5: 2, Q25: 1}}}.Figure()
	require.EqualError(t, err, `viz: timings "t": function "a" has the quantiles [2ns 1ns 0s 0s 0s]; they must be above 0 and may not decrease`)
}

func TestTimesAreSpelledWithThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{7: "7.00 ns", 1530: "1.53 µs", 46700 * time.Microsecond: "46.7 ms", 812 * time.Second: "812 s"} {
		require.Equal(t, want, spell(d))
	}
}

func TestTimingsAreOnALogScaleWhereFarApart(t *testing.T) {
	far := demoTimings()
	require.True(t, newTimingsDrawing(far).x.log)
	far.Functions = far.Functions[:1]
	d := newTimingsDrawing(far)
	require.False(t, d.x.log)
	require.Zero(t, d.x.min, "lengths compare from zero")
}

func ExampleTimings() {
	f, err := Timings{Name: "attention", Title: "Attention, 8 × 128 tokens", Functions: []Timing{
		{Name: "with bias", Q5: 900e3, Q25: 950e3, Median: 1e6, Q75: 11e5, Q95: 14e5},
		{Name: "without", Q5: 700e3, Q25: 750e3, Median: 800e3, Q75: 900e3, Q95: 1e6},
	}}.Figure()
	fmt.Println(f.Name, err)
	fmt.Println(f.Alt)
	// Output:
	// attention <nil>
	// Median time a call with 5 % and 95 % quantiles: with bias 1.00 ms [900 µs, 1.40 ms]; without 800 µs [700 µs, 1.00 ms].
}
