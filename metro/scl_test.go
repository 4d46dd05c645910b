// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// Worked out by hand: four identical pairs are ln 7; two pairs of unit vectors at right angles, each turned by about 53°.
func TestSequenceContrast(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(same, a, b *Node) []*Node {
			return []*Node{
				metro.SequenceContrast(same, same, 1), metro.SequenceContrast(a, b, 1), metro.SequenceContrast(a, b, 0.1),
				metro.SequenceContrast(b, a, 0.1), metro.SequenceContrast(MulScalar(a, 7), MulScalar(b, 0.01), 0.1),
			}
		})
		same := [][]float64{{.6, .8}, {.6, .8}, {.6, .8}, {.6, .8}}
		a, b := [][]float64{{1, 0}, {0, 1}}, [][]float64{{.6, .8}, {-.8, .6}}
		out := exec.MustCall(same, a, b)
		for i, want := range []float64{1.945910, 0.802079, 1.064850, 1.064850, 1.064850} { // order and lengths do not matter
			require.InDelta(t, want, number(out[i]), 1e-6)
		}
	})
}

// Against loops, for views that are no unit vectors.
func TestSequenceContrastAgainstLoops(t *testing.T) {
	const rows, width, temperature = 5, 3, 0.3
	rng := rand.New(rand.NewPCG(1, 1))
	views := make([][]float64, 2*rows)
	for i := range views {
		for range width {
			views[i] = append(views[i], rng.NormFloat64())
		}
	}
	cosine := func(a, b []float64) float64 {
		dot := 0.0
		for i := range a {
			dot += a[i] * b[i]
		}
		return dot / norm(a) / norm(b)
	}
	want := 0.0
	for i := range views {
		sum := 0.0
		for k := range views {
			if k != i {
				sum += math.Exp(cosine(views[i], views[k]) / temperature)
			}
		}
		partner := (i + rows) % (2 * rows)
		want += math.Log(sum) - cosine(views[i], views[partner])/temperature
	}
	exec := MustNewExec(backendtest.Go(t), func(a, b *Node) *Node { return metro.SequenceContrast(a, b, temperature) })
	require.InDelta(t, want/(2*rows), number(exec.MustCall(views[:rows], views[rows:])[0]), 1e-9)
}

// A crop of a row is [CLS] and nine tenths of the other real tokens, contiguous, in order, with nothing of the padding
// between; every start that fits comes up; the rest is padding. Token k of a row is 10+k here.
func TestCrop(t *testing.T) {
	const s, draws, pad = 12, 64, 3
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(tokens, noise *Node) []*Node {
			nonPad := NotEqual(tokens, Scalar(tokens.Graph(), dtypes.Int32, pad))
			cropped, real := metro.Crop(tokens, nonPad, noise, pad, 0.9)
			return []*Node{cropped, real}
		})
		noise := make([]float32, draws)
		for i := range noise {
			noise[i] = float32(i) / draws
		}
		noise[draws-1] = 1 - 1./(1<<23) // the largest there is
		for n := 1; n <= s; n++ {       // real tokens
			rows := make([]int32, 0, draws*s)
			for range draws {
				for k := range int32(s) {
					if int(k) < n {
						rows = append(rows, 10+k)
					} else {
						rows = append(rows, pad)
					}
				}
			}
			out := exec.MustCall(tensors.FromFlatDataAndDimensions(rows, draws, s), noise)
			cropped, real := tensors.MustCopyFlatData[int32](out[0]), tensors.MustCopyFlatData[bool](out[1])
			length, starts := int(math.Floor(0.9*float64(n-1)+0.5)), map[int32]bool{}
			for i := range draws {
				row := cropped[i*s : (i+1)*s]
				require.Equal(t, int32(10), row[0])
				for k := range s {
					require.Equal(t, k <= length, real[i*s+k])
					switch {
					case k > length:
						require.Equal(t, int32(pad), row[k])
					case k > 1:
						require.Equal(t, row[k-1]+1, row[k])
					}
				}
				if length > 0 {
					starts[row[1]-11] = true
					require.Less(t, int(row[length]-10), n, "never padding")
				}
			}
			if length > 0 {
				require.Len(t, starts, n-length, "%d real tokens, spans of %d", n, length)
			}
		}
	})
}

// The two views of a row are its corrupted form and the crop of its original; the noise of the crop reaches the
// contrastive term and no other.
func TestSequenceContrastInThePass(t *testing.T) {
	be := backendtest.Go(t)
	m := small(t, "objective.name=rtd_clm_scl")
	store := shaken(be, m)
	b := smallBatch()
	losses := func() (contrast, others float64) {
		out := call(be, store, m, b, func(p *metro.Pass) []*Node {
			crop, real := metro.Crop(p.Batch.Tokens, p.NonPad, p.Batch.Rows, m.PadID, 0.9)
			vectors := func(states *Node) *Node { return metro.SequenceVectors(p.Head("scl"), m.Config.Main, states) }
			again := metro.SequenceContrast(vectors(p.States()), vectors(p.Encode(crop, real, "")), 1)
			return []*Node{term("scl")(p), again, Sub(p.Loss, term("scl")(p))}
		})
		require.InDelta(t, number(out[0]), number(out[1]), 1e-12)
		return number(out[0]), number(out[2])
	}
	b.rows = []float64{0, 0}
	left, others := losses()
	b.rows = []float64{0.99, 0.99}
	right, same := losses()
	require.NotEqual(t, left, right)
	require.InDelta(t, others, same, 1e-12)
}
