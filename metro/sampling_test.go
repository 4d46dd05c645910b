// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// uniforms draws numbers as the loader does: multiples of 2⁻²³ below 1.
func uniforms(rng *rand.Rand, rows, columns int) [][]float32 {
	u := make([][]float32, rows)
	for i := range u {
		u[i] = make([]float32, columns)
		for j := range u[i] {
			u[i][j] = float32(rng.Uint32()>>9) / (1 << 23)
		}
	}
	return u
}

// 1e5 draws against softmax(logits): χ² at the 99.9 % point, for vocabularies that do and do not fill their blocks.
func TestSamplesFollowTheSoftmax(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, v := range []int{2, 7, 16, 50} {
			rng := rand.New(rand.NewPCG(1, uint64(v)))
			logits := make([]float32, v)
			for i := range logits {
				logits[i] = float32(2 * rng.NormFloat64())
			}
			const rows, columns = 100, 1000
			exec := MustNewExec(be, func(l, u *Node) *Node {
				return metro.SampleReplacements(BroadcastPrefix(l, rows, columns), u, nil)
			})
			samples := tensors.MustCopyFlatData[int32](exec.MustCall(logits, uniforms(rng, rows, columns))[0])
			observed, expected := make([]float64, v), softmax(logits)
			for _, s := range samples {
				observed[s]++
			}
			for i := range expected {
				expected[i] *= rows * columns
			}
			limit := distuv.ChiSquared{K: float64(v - 1)}.Quantile(0.999)
			require.Less(t, stat.ChiSquare(observed, expected), limit, "V = %d", v)
		}
	})
}

// The draw is the inverse of the cumulative distribution: exact at its steps, never a token of probability 0, whatever
// the noise, and arg-max where one token has everything.
func TestSamplesInvertTheDistribution(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(l, u *Node) *Node {
			return metro.SampleReplacements(BroadcastPrefix(l, 1, u.Shape().Dim(1)), u, nil)
		})
		zero := float32(math.Inf(-1))
		last := 1 - float32(1.0/(1<<23))
		logits := []float32{zero, 0, zero, 0, zero, 0, 0, zero, zero, zero}
		out := exec.MustCall(logits, [][]float32{{0, 0.2, 0.25, 0.49, 0.5, 0.7, 0.75, last}})[0]
		require.Equal(t, [][]int32{{1, 1, 3, 3, 5, 5, 6, 6}}, out.Value())

		sharp := make([]float32, 10)
		sharp[7] = 200
		require.Equal(t, [][]int32{{7, 7, 7}}, exec.MustCall(sharp, [][]float32{{0, 0.5, last}})[0].Value())
	})
}

func TestSamplesOfALargeVocabulary(t *testing.T) {
	be := backendtest.Go(t)
	const v, n = 30_522, 64
	exec := MustNewExec(be, func(l, u *Node) *Node { return metro.SampleReplacements(BroadcastPrefix(l, 1, n), u, nil) })
	rng := rand.New(rand.NewPCG(3, 4))
	logits := make([]float32, v)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64())
	}
	u := uniforms(rng, 1, n)
	got := tensors.MustCopyFlatData[int32](exec.MustCall(logits, u)[0])
	p := softmax(logits)
	for i, id := range got {
		before := 0.0
		for _, x := range p[:id] {
			before += x
		}
		// In exact arithmetic before ≤ u < before + p; f32 sums of two levels of 175 stay within 1e-6 of that.
		require.InDelta(t, float64(u[0][i]), before+p[id]/2, p[id]/2+1e-6)
	}
}

func softmax(logits []float32) []float64 {
	sum, p := 0.0, make([]float64, len(logits))
	for i, l := range logits {
		p[i] = math.Exp(float64(l))
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
