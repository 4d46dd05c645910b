// SPDX-License-Identifier: Apache-2.0

package grow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/grow"
	"metrolab/metro/weights"
)

const options = "main.feed_forward_options."

// upcycled is a model of the shape and what it grows to; its assignments are those of the growth.
func upcycled(t testing.TB, shape string, o grow.Options, assignments ...string) (small *memory, large weights.Source) {
	t.Helper()
	small = random(config(t, strings.Fields(shape)...))
	to, err := grow.Target(small.model.Config, assignments...)
	require.NoError(t, err)
	large, err = grow.Grow(small, to, o)
	require.NoError(t, err)
	return small, large
}

// Experts that are copies answer as their one map does: two of them, whose weights add up to 1, one that counts whole, and all there
// is. The gate, dispatch and combination are in the graph: what a single answer counts by its probability is another function.
func TestExpertsOfCopiesKeepTheFunction(t *testing.T) {
	be := backendtest.Go(t)
	for _, shape := range append([]string{"sharing=all generator.layers=2 positions.per_layer=true"}, shapes[:5]...) {
		for name, set := range map[string]string{
			"two of four":   options + "experts=4 " + options + "top_k=2 " + options + "evaluation_capacity=0",
			"one of three":  options + "experts=3 " + options + "whole=true " + options + "evaluation_capacity=0",
			"one of one":    options + "experts=1",
			"wider at once": options + "experts=4 " + options + "top_k=2 " + options + "evaluation_capacity=0 main.width=16",
			"wider inside":  options + "experts=2 " + options + "top_k=2 main.ffn=24",
		} {
			t.Run(shape+"/"+name, func(t *testing.T) {
				width := 8
				if name == "wider at once" {
					width = 16
				}
				set := append([]string{"main.feed_forward=moe"}, strings.Fields(set)...)
				if strings.Contains(shape, "sharing=all") {
					set = append(set, strings.Fields(strings.ReplaceAll(strings.Join(set, " "), "main.", "generator."))...)
				}
				small, large := upcycled(t, shape, grow.Options{Noise: 0.3, Seed: 3}, set...)
				before, _ := run(t, be, small)
				after, _ := run(t, be, large)
				for output, d := range far(t, before, after, tiled(8, width), 8) {
					require.LessOrEqual(t, d, 1e-12, output)
				}
			})
		}
	}
	small, large := upcycled(t, "", grow.Options{}, "main.feed_forward=moe", options+"experts=4", options+"evaluation_capacity=0")
	before, _ := run(t, be, small)
	after, _ := run(t, be, large)
	require.Greater(t, far(t, before, after, tiled(8, 8), 8)["states"], 1e-2)
}

// Each expert has the whole of the old map, to the bit; gates are drawn, small, from the seed; a copy of the count of weights is
// dense + (E−1)·maps + gates.
func TestWhatExpertsBeginWith(t *testing.T) {
	small, large := upcycled(t, "", grow.Options{Seed: 5}, "main.feed_forward=moe", options+"experts=3")
	count, of, gates := 0, 0, 0
	for _, w := range metro.Describe(large.Model().Config, vocab) {
		values, err := grow.Values(large, w.Tensor())
		require.NoError(t, err, w.Tensor())
		count += len(values)
		if w.Role == layers.RoleGate {
			gates += len(values)
			for _, x := range values {
				require.InDelta(t, 0, x, 0.1)
				require.NotZero(t, x)
			}
			continue
		}
		if _, ok := large.Model().Config.ExpertsOf(w); !ok {
			continue
		}
		old := small.values[w.Tensor()]
		require.Len(t, values, 3*len(old))
		for i, x := range values {
			require.Equal(t, float64(old[i%len(old)]), x)
		}
		of += len(old)
	}
	require.Equal(t, metro.Describe(small.model.Config, vocab).Count()+2*of+gates, count)
	require.Equal(t, 2*8*3, gates)
	inv := metro.Describe(large.Model().Config, vocab)
	require.Equal(t, count-2*of, large.Model().Config.Active(inv), "one of three is active")
	_, other := upcycled(t, "", grow.Options{Seed: 6}, "main.feed_forward=moe", options+"experts=3")
	gate := "main.layer_0.gate.weights"
	a, err := grow.Values(large, gate)
	require.NoError(t, err)
	b, err := grow.Values(other, gate)
	require.NoError(t, err)
	require.NotEqual(t, a, b)
}

// What a token that finds no slot loses is said, as is what a probability does to a single answer; the difference is what is measured.
func TestReceiptOfExperts(t *testing.T) {
	rows := [][]int32{{2, 5, 6, 7, 8, 9, 10, 3}, {2, 9, 10, 5, 6, 3, 0, 0}}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		receipt := func(assignments ...string) grow.Receipt {
			_, large := upcycled(t, "", grow.Options{}, append([]string{"main.feed_forward=moe"}, assignments...)...)
			r, err := grow.Inspect(be, large, rows)
			require.NoError(t, err)
			return r
		}
		kept := receipt(options+"experts=4", options+"top_k=2", options+"evaluation_capacity=0")
		require.True(t, kept.Keeps(), kept.Notes)
		for _, d := range kept.Outputs {
			require.LessOrEqual(t, d.Largest, 1e-5*d.Scale, d.Name)
		}
		for set, note := range map[string]string{
			options + "experts=4 " + options + "evaluation_capacity=0":                                                         "about 1/4 at first",
			options + "experts=4 " + options + "top_k=2 " + options + "evaluation_capacity=0.25 " + options + "min_capacity=1": "an expert has 1 slots for the 8 tokens of a row",
		} {
			r := receipt(strings.Fields(set)...)
			require.Contains(t, fmt.Sprint(r.Notes), note)
			require.Greater(t, r.Outputs[0].Largest, 1e-3)
		}
	})
}

func TestRefusalsOfExperts(t *testing.T) {
	small := random(config(t, "main.feed_forward=moe"))
	for _, set := range []string{"main.width=16", options + "experts=8", "main.feed_forward=dense"} {
		to, err := grow.Target(small.model.Config, set)
		require.NoError(t, err)
		_, err = grow.Grow(small, to, grow.Options{})
		require.ErrorContains(t, err, "main.feed_forward=moe has experts, which are not grown")
	}
}
