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

// 1e5 draws against softmax(logits/T): χ² at the 99.9 % point, for vocabularies that do and do not fill their blocks.
func TestSamplesFollowTheSoftmax(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, v := range []int{2, 16, 23} {
			const rows, columns = 100, 1000
			exec := MustNewExec(be, func(l, u, temperature *Node) []*Node {
				spread := BroadcastPrefix(l, rows, columns)
				return []*Node{metro.SampleReplacements(spread, u, temperature), metro.SampleReplacements(spread, u, nil)}
			})
			for _, temperature := range []float32{0.5, 1, 2} {
				rng := rand.New(rand.NewPCG(1, uint64(v)))
				logits, tempered := make([]float32, v), make([]float32, v)
				for i := range logits {
					logits[i] = float32(2 * rng.NormFloat64())
					tempered[i] = logits[i] / temperature
				}
				out := exec.MustCall(logits, uniforms(rng, rows, columns), temperature)
				if temperature == 1 {
					require.Equal(t, out[1].Value(), out[0].Value(), "no temperature is 1")
				}
				observed, expected := make([]float64, v), softmax(tempered)
				for _, s := range tensors.MustCopyFlatData[int32](out[0]) {
					observed[s]++
				}
				for i := range expected {
					expected[i] *= rows * columns
				}
				limit := distuv.ChiSquared{K: float64(v - 1)}.Quantile(0.999)
				require.Less(t, stat.ChiSquare(observed, expected), limit, "V = %d, T = %g", v, temperature)
			}
			exec.Finalize()
		}
	})
}

// Towards T = 0 the draw is the arg max, whatever the noise; towards infinity every token is as likely.
func TestTemperatureAtTheLimits(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		const n, v = 200, 23
		exec := MustNewExec(be, metro.SampleReplacements)
		defer exec.Finalize()
		rng := rand.New(rand.NewPCG(2, 2))
		logits, best := [][][]float32{make([][]float32, n)}, make([]int32, n)
		for i := range n {
			for id := range v {
				logits[0][i] = append(logits[0][i], float32(rng.NormFloat64()))
				if logits[0][i][id] > logits[0][i][best[i]] {
					best[i] = int32(id)
				}
			}
		}
		u := uniforms(rng, 1, n)
		require.Equal(t, [][]int32{best}, exec.MustCall(logits, u, float32(1e-4))[0].Value())
		for i, id := range exec.MustCall(logits, u, float32(1e7))[0].Value().([][]int32)[0] {
			require.InDelta(t, v*u[0][i], float32(id)+0.5, 0.5+1e-3)
		}
	})
}

// Samples carry no gradient to the logits.
func TestSamplesStopGradients(t *testing.T) {
	exec := MustNewExec(backendtest.Go(t), func(l, u *Node) *Node {
		ids := ConvertDType(metro.SampleReplacements(l, u, nil), l.DType())
		return Gradient(ReduceAllSum(Add(ids, ReduceSum(l, -1))), l)[0]
	})
	require.Equal(t, [][][]float32{{{1, 1, 1}}}, exec.MustCall([][][]float32{{{0, 1, 2}}}, [][]float32{{.5}})[0].Value())
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

// A target that rounding has put below the first sum, or at the last one or above it, still finds what has a mass.
func TestInvertAtTheEnds(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(masses, target *Node) []*Node {
			index, before := metro.Invert(masses, target)
			return []*Node{index, before}
		})
		defer exec.Finalize()
		row := []float32{0, 0.5, 0, 0.25, 0.25, 0, 0}
		targets := []float32{-1e-7, 0, 0.5, 0.75, 0.9999999, 1, 1.0000001}
		rows := make([][]float32, len(targets))
		for i := range rows {
			rows[i] = row
		}
		out := exec.MustCall(rows, targets)
		require.Equal(t, []int32{1, 1, 3, 4, 4, 4, 4}, out[0].Value())
		require.Equal(t, []float32{0, 0, 0.5, 0.75, 0.75, 0.75, 0.75}, out[1].Value())
	})
}

// At the last of the uniforms, where running sums of 128,000 probabilities in float32 end below, at or above the target as a
// backend adds them, a draw is a token that is there and has a probability: whether tokens of probability 0 come last, lie
// between all others, or fill whole blocks.
func TestSamplesAtTheTailOfALargeVocabulary(t *testing.T) {
	const v, n = 128_000, 64
	tail := make([]float32, n) // 1 − k·2⁻²³, and the same at the head
	for k := range tail {
		tail[k] = 1 - float32(k+1)/(1<<23)
	}
	tail[n-1], tail[n-2] = 0, 1./(1<<23)
	zeros := map[string]func(id int) bool{
		"none":        func(int) bool { return false },
		"last":        func(id int) bool { return id >= v-3 },
		"last blocks": func(id int) bool { return id >= v-1500 },
		"every other": func(id int) bool { return id%2 == 1 },
		"most":        func(id int) bool { return id%1000 != 7 },
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		exec := MustNewExec(be, func(l, u *Node) *Node { return metro.SampleReplacements(BroadcastPrefix(l, 1, n), u, nil) })
		defer exec.Finalize()
		for name, isZero := range zeros {
			for draw := range 3 {
				rng := rand.New(rand.NewPCG(uint64(draw), 5))
				logits := make([]float32, v)
				for id := range logits {
					if logits[id] = float32(draw) * float32(rng.NormFloat64()); isZero(id) {
						logits[id] = -1e9
					}
				}
				for i, id := range tensors.MustCopyFlatData[int32](exec.MustCall(logits, [][]float32{tail})[0]) {
					require.True(t, id >= 0 && id < v, "%s, uniform %v: the id %d", name, tail[i], id)
					require.False(t, isZero(int(id)), "%s, uniform %v: the id %d has probability 0", name, tail[i], id)
				}
			}
		}
	})
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
