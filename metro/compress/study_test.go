// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

// corrupted is a frozen set of random tokens.
func corrupted(rows, seqLen int, seed uint64) data.Frozen {
	rng := rand.New(rand.NewPCG(seed, 1))
	set := data.Frozen{SeqLen: seqLen}
	for range rows * seqLen {
		set.Corrupted = append(set.Corrupted, int32(5+rng.IntN(18)))
		set.Replaced = append(set.Replaced, rng.IntN(5) == 0)
		set.Scored = append(set.Scored, rng.IntN(8) > 0)
	}
	return set
}

func halvesOf(t *testing.T, set data.Frozen) *Halves {
	t.Helper()
	h, err := NewHalves(set)
	require.NoError(t, err)
	return h
}

// Halves share no row, leave none out, and do not depend on what else is there; what rows contribute sums to the AUC.
func TestHalves(t *testing.T) {
	set := corrupted(60, 16, 1)
	h := halvesOf(t, set)
	require.Equal(t, 60, h.parts[0].rows+h.parts[1].rows)
	require.Greater(t, min(h.parts[0].rows, h.parts[1].rows), 15)
	seen := map[int]bool{}
	scores := make([]float32, len(set.Corrupted))
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range scores {
		scores[i] = float32(rng.IntN(9)) // with ties
	}
	for _, part := range h.parts {
		var kept []float32
		for i, at := range part.tokens {
			require.True(t, set.Scored[at])
			require.False(t, seen[at])
			require.Equal(t, set.Replaced[at], part.replaced[i])
			seen[at] = true
			kept = append(kept, scores[at])
		}
		require.InDelta(t, training.AUC(kept, part.replaced), sum(part.contributions(scores)), 1e-12)
	}
	fewer := set
	fewer.Corrupted, fewer.Replaced, fewer.Scored = set.Corrupted[:32*16], set.Replaced[:32*16], set.Scored[:32*16]
	first := halvesOf(t, fewer)
	for i := range 2 {
		require.Equal(t, first.parts[i].tokens, h.parts[i].tokens[:len(first.parts[i].tokens)])
	}
	clean := corrupted(60, 16, 1)
	clean.Replaced = make([]bool, len(clean.Replaced))
	_, err := NewHalves(clean)
	require.ErrorContains(t, err, "too few rows")
}

// What is scored on one half has no part in what the other says: the choice follows from the first, what is reported from the second.
func TestSelectionIsApart(t *testing.T) {
	h := halvesOf(t, corrupted(80, 16, 2))
	rng := rand.New(rand.NewPCG(5, 6))
	model := func() *Scores {
		s := &Scores{Name: "m"}
		for _, rank := range []int{1, 2, 4, 8} {
			v := scored{options: Options{Method: MethodCP, Rank: rank}, ratio: 1}
			for i, part := range h.parts {
				for range part.rows {
					v.rows[i] = append(v.rows[i], 0.01*rng.NormFloat64())
				}
			}
			s.variants = append(s.variants, v)
		}
		return s
	}
	scores := []*Scores{model(), model(), model()}
	before := Study{}.Summarise(h, scores)
	for _, m := range scores { // another reported half: the choice stays
		for k := range m.variants {
			for i := range m.variants[k].rows[1] {
				m.variants[k].rows[1][i] = rng.NormFloat64()
			}
		}
	}
	after := Study{}.Summarise(h, scores)
	require.Equal(t, before.Chosen[0].Ranks, after.Chosen[0].Ranks)
	require.Equal(t, before.Chosen[0].Choosing, after.Chosen[0].Choosing)
	require.NotEqual(t, before.Chosen[0].Reported, after.Chosen[0].Reported)
	for _, m := range scores { // another choosing half: what is reported of each variant, with p and interval, stays
		for k := range m.variants {
			for i := range m.variants[k].rows[0] {
				m.variants[k].rows[0][i] = rng.NormFloat64()
			}
		}
	}
	again := Study{}.Summarise(h, scores)
	for k, v := range again.Variants {
		w := after.Variants[k]
		w.Choosing = v.Choosing
		require.Equal(t, w, v)
	}
}

// Of many studies without any effect, in which variants are as alike as ranks are, one in twenty finds one, whether units are many rows
// or a few models. Whoever takes the smallest p that was not corrected finds one far more often.
func TestMaxTHasItsSize(t *testing.T) {
	for units, draws := range map[int]int{8: 400, 60: 60} {
		rng := rand.New(rand.NewPCG(7, uint64(units)))
		found, naive := 0, 0
		for range draws {
			x := make([][]float64, 12)
			for i := range units {
				common, size := rng.NormFloat64(), rng.ExpFloat64() // rows differ in how much they say
				for k := range x {
					if i == 0 {
						x[k] = make([]float64, units)
					}
					x[k][i] = size * (common + rng.NormFloat64())
				}
			}
			least, alone := 1.0, 1.0
			for _, p := range MaxT(x, 1) {
				least = min(least, p)
			}
			for k := range x {
				total, squares := 0.0, 0.0
				for _, v := range x[k] {
					total, squares = total+v, squares+v*v
				}
				alone = min(alone, math.Erfc(math.Abs(total)/math.Sqrt(2*squares)))
			}
			if least <= 0.05 {
				found++
			}
			if alone <= 0.05 {
				naive++
			}
		}
		rate, sure := float64(found)/float64(draws), 3*math.Sqrt(0.05*0.95/float64(draws))
		require.InDelta(t, 0.05, rate, sure, "%d units", units)
		require.Greater(t, float64(naive)/float64(draws), 0.05+sure)
	}
}

// What is there is found, and what is nothing has p = 1.
func TestMaxTFindsWhatIsThere(t *testing.T) {
	x := [][]float64{make([]float64, 40), make([]float64, 40), make([]float64, 40)}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 40 {
		x[0][i], x[1][i] = 1+rng.NormFloat64(), rng.NormFloat64()
	}
	p := MaxT(x, 1)
	require.Less(t, p[0], 0.001)
	require.Greater(t, p[1], 0.05)
	require.EqualValues(t, 1, p[2])
	require.Equal(t, p, MaxT(x, 1))
	require.Equal(t, []float64{0.25}, MaxT([][]float64{{1, 1, 1}}, 1), "of eight ways two are as large")
}

// A study of every method: full rank by svd changes nothing, less does, and compressing goes through as Compress does.
func TestStudy(t *testing.T) {
	src := random()
	set := corrupted(40, src.model.Config.Data.SeqLen, 9)
	h := halvesOf(t, set)
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		d, err := NewDetector(be, src, h)
		require.NoError(t, err)
		defer d.Close()
		s := Study{Target: TargetAttention, Methods: []string{MethodCP, MethodSVD, MethodNoise}, Layers: []string{"0", "all"}, Across: true, Ranks: []int{1, 8}}
		calls := 0
		scores, err := s.Score(t.Context(), d, src, func(done, total int) { calls++; require.Equal(t, 16, total) })
		require.NoError(t, err)
		require.Equal(t, 17, calls)
		r := s.Summarise(h, []*Scores{scores})
		require.Len(t, r.Variants, 16)
		require.Len(t, r.Chosen, 8)
		for _, v := range r.Variants {
			if v.Method == MethodSVD && v.Rank == 8 {
				require.InDelta(t, 0, v.Reported, 1e-9)
				require.InDelta(t, 0, v.Choosing, 1e-9)
				require.Less(t, v.Error, 1e-12)
			}
			if v.Rank == 1 {
				require.NotZero(t, v.Reported)
			}
			require.Nil(t, v.PModels)
		}
		low, _, err := Compress(t.Context(), src, Options{Method: MethodSVD, Target: TargetAttention, Layers: "all", Rank: 1}, nil)
		require.NoError(t, err)
		again, err := Study{Target: TargetAttention, Methods: []string{MethodSVD}, Layers: []string{"last"}, Ranks: []int{8}}.Score(t.Context(), d, low, nil)
		require.NoError(t, err)
		for _, v := range r.Variants {
			if v.Method == MethodSVD && v.Rank == 1 && v.Layers == "all" {
				require.InDelta(t, again.Base[1]-r.Models[0].AUC[1], v.Reported, 1e-9)
			}
		}
	})
}

func TestStudyRefusals(t *testing.T) {
	src := random()
	for message, s := range map[string]Study{
		"take 8 or less":               {Target: TargetAttention, Ranks: []int{9}},
		"the target is one of":         {Target: "heads"},
		"of the 3 that there are":      {Target: TargetAttention, Layers: []string{"3"}},
		"the method is one of":         {Target: TargetAttention, Methods: []string{"lu"}},
		"the start is one of":          {Target: TargetAttention, Start: "warm"},
		"there is nothing to compress": {Target: TargetAttention, Ranks: []int{}},
		"the embeddings are in no":     {Target: TargetEmbeddings, Layers: []string{"all"}},
	} {
		require.ErrorContains(t, s.Check(src), message)
	}
	require.NoError(t, Study{Target: TargetEmbeddings}.Check(src))
	headless := randomOf(src.model.Config)
	heads := map[string]bool{}
	for _, w := range metro.Describe(src.model.Config, 23) {
		heads[w.Tensor()] = w.Head != ""
	}
	headless.list = slices.DeleteFunc(headless.list, func(tensor weights.Tensor) bool { return heads[tensor.Name] })
	_, err := NewDetector(backendtest.Go(t), headless, halvesOf(t, corrupted(40, 16, 1)))
	require.ErrorContains(t, err, "no head that could detect")
}
