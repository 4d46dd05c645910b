// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/outputs"
	"metrolab/metro/recipes"
)

// withExperts is a model of random weights with experts, four in each of two layers, and the assignments made.
func withExperts(t *testing.T, assignments ...string) *memory {
	t.Helper()
	c := recipes.Micro()
	c.Data.SeqLen = 8
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 2, 8, 2, 12
	require.NoError(t, c.SetAll(append([]string{"main.feed_forward=moe", "main.feed_forward_options.evaluation_capacity=0"}, assignments...)...))
	require.NoError(t, c.Validate())
	return randomOf(c)
}

var texts = [][]int32{{2, 5, 6, 7, 8, 9, 10, 3}, {2, 9, 10, 5, 6, 3, 0, 0}}

// A token goes to the best expert that is left, so that experts whom nobody chose can go without a trace; others leave one.
func TestExpertsWhomNobodyChoosesAreNotMissed(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		src := withExperts(t, "main.feed_forward_options.whole=true")
		for name, values := range src.values { // else one direction decides for all tokens
			if strings.HasSuffix(name, "norm.offset") {
				clear(values)
			}
		}
		for layer, idle := range []int{1, 3} { // the first of equals is chosen, so that nobody chooses his double
			w := src.values[gate(layer)]
			for h := range 8 {
				w[h*4+idle] = w[h*4]
			}
		}
		loads, err := outputs.Loads(be, src, texts)
		require.NoError(t, err)
		before, err := outputs.Of(be, src, texts)
		require.NoError(t, err)
		for layer := range loads {
			sum := 0.0
			for _, share := range loads[layer] {
				sum += float64(share)
			}
			require.InDelta(t, 1, sum, 1e-6)
		}
		for _, keep := range []int{1, 3} {
			out, kept, err := Prune(src, keep, loads)
			require.NoError(t, err)
			after, err := outputs.Of(be, out, texts)
			require.NoError(t, err)
			missed := 0.0
			for layer := range kept {
				require.Len(t, kept[layer], keep)
				require.IsIncreasing(t, append([]int{-1}, kept[layer]...))
				missed++
				for _, e := range kept[layer] {
					missed -= float64(loads[layer][e])
				}
			}
			require.Equal(t, keep == 3, missed < 1e-6)
			far := outputs.Compare(outputs.States, before.Values[outputs.States], after.Values[outputs.States]).Largest
			if missed < 1e-6 {
				require.Less(t, far, 1e-5, "%d kept", keep)
			} else {
				require.Greater(t, far, 1e-3, "%d kept", keep)
			}
		}
	})
}

func gate(layer int) string {
	return []string{"main.layer_0.gate.weights", "main.layer_1.gate.weights"}[layer]
}

// What is kept is what there was, expert by expert, to the bit; all else is untouched.
func TestPruneKeepsWhatIsMostChosen(t *testing.T) {
	src := withExperts(t)
	out, kept, err := Prune(src, 2, [][]float32{{0.1, 0.4, 0.2, 0.3}, {0.25, 0.25, 0.25, 0.25}})
	require.NoError(t, err)
	require.Equal(t, [][]int{{1, 3}, {0, 1}}, kept)
	f, ok := out.Model().Config.Experts(metro.OwnerMain)
	require.True(t, ok)
	require.Equal(t, 2, f.Router.Experts)
	inv := metro.Describe(out.Model().Config, 23)
	require.Len(t, out.Tensors(), len(inv))
	for i, w := range inv {
		require.Equal(t, w.Tensor(), out.Tensors()[i].Name)
		require.Equal(t, w.Shape, out.Tensors()[i].Shape)
		got := make([]float32, w.Size())
		require.NoError(t, out.Read(w.Tensor(), got))
		old := src.values[w.Tensor()]
		switch {
		case w.Tensor() == gate(0):
			for h := range 8 {
				require.Equal(t, []float32{old[h*4+1], old[h*4+3]}, got[h*2:h*2+2])
			}
		case w.ByMain && w.Layer == 0 && w.Part == "ffn_in" && w.Kind == "weights":
			require.Equal(t, old[96:192], got[:96])
			require.Equal(t, old[288:], got[96:])
		case len(got) == len(old):
			require.Equal(t, old, got, w.Tensor())
		}
	}
}

func TestPruneRefuses(t *testing.T) {
	loads := [][]float32{{1, 0, 0, 0}, {1, 0, 0, 0}}
	for message, keep := range map[string]int{"1 to 3 can be kept, not 4": 4, "1 to 3 can be kept, not 0": 0} {
		_, _, err := Prune(withExperts(t), keep, loads)
		require.ErrorContains(t, err, message)
	}
	_, _, err := Prune(withExperts(t, "main.feed_forward_options.top_k=2"), 1, loads)
	require.ErrorContains(t, err, "of which a token chooses 2, 2 to 3 can be kept, not 1")
	_, _, err = Prune(random(), 1, nil)
	require.ErrorContains(t, err, "has no experts: main.feed_forward is dense")
	_, err = outputs.Loads(backendtest.Go(t), random(), texts)
	require.ErrorContains(t, err, "has no experts: main.feed_forward is dense")
}
