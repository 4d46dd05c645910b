// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// example is 1/(1+i+2j+3k) ± 0.1, + where i+j+k is odd, 4×5×3. The figures below are tensorly 0.10.0's on it (parafac and tucker, float64,
// tolerance 0), from the start of cosines, as scripts/parity/decompositions.py prints them.
func example() Tensor {
	t := NewTensor(4, 5, 3)
	for i := range 4 {
		for j := range 5 {
			for k := range 3 {
				sign := -0.1
				if (i+j+k)%2 == 1 {
					sign = 0.1
				}
				*t.At(i, j, k) = 1/float64(1+i+2*j+3*k) + sign
			}
		}
	}
	return t
}

func cosines(t Tensor, rank int) CP {
	var c CP
	for mode := range 3 {
		c.Factors[mode] = mat.NewDense(t.Shape[mode], rank, nil)
		for i := range t.Shape[mode] {
			for r := range rank {
				c.Factors[mode].Set(i, r, math.Cos(1+float64(mode)+1.3*float64(i)+0.7*float64(r)))
			}
		}
	}
	return c
}

func TestCPIsTensorlys(t *testing.T) {
	x := example()
	require.InDelta(t, 1.6890817589, x.Norm(), 1e-10)
	for rank, golden := range map[int]map[int]float64{
		1: {1: .515813488, 2: .481949967, 20: .481644196},
		2: {1: .490847322, 2: .412874014, 5: .19493573, 100: .192728704},
		3: {1: .467978553, 2: .403849195, 20: .08741333, 1000: .01384302},
	} {
		c := cosines(x, rank)
		errors := c.Fit(x, Sweeps{Most: 1000, Tolerance: -1})
		for sweep, want := range golden {
			require.InDelta(t, want, errors[sweep-1], 1e-8, "rank %d, sweep %d", rank, sweep)
		}
		for i := 1; i < len(errors); i++ {
			require.LessOrEqual(t, errors[i], errors[i-1]+1e-12, "sweeps never make it worse")
		}
		require.InDelta(t, x.Error(c.Tensor()), errors[999], 1e-15)
	}
}

// Random starts are not monotone in the rank; warm ones are.
func TestCPIsMonotoneInTheRankWhereItStartsWarm(t *testing.T) {
	x := example()
	c := StartCP(x, 1)
	last := c.Fit(x, Sweeps{})
	for range 6 {
		c = c.Widened()
		errors := c.Fit(x, Sweeps{})
		require.LessOrEqual(t, errors[len(errors)-1], last[len(last)-1]+1e-12)
		last = errors
	}
}

func TestCPFindsRankOne(t *testing.T) {
	var c CP
	for mode, n := range []int{4, 5, 3} {
		c.Factors[mode] = mat.NewDense(n, 1, nil)
		for i := range n {
			c.Factors[mode].Set(i, 0, float64(1+i+mode))
		}
	}
	x := c.Tensor()
	found := StartCP(x, 1)
	errors := found.Fit(x, Sweeps{})
	require.Less(t, errors[len(errors)-1], 1e-13)
	require.Equal(t, 13, found.Parameters())
}

func TestTuckerIsTensorlys(t *testing.T) {
	x := example()
	for ranks, golden := range map[[3]int][2]float64{
		{1, 1, 1}: {.495591643, .481644196}, {2, 2, 2}: {.194368165, .192728704}, {3, 3, 3}: {.012129513, .012128614}, {4, 5, 3}: {0, 0},
	} {
		t.Run(fmt.Sprint(ranks), func(t *testing.T) {
			require.InDelta(t, golden[0], x.Error(FitTucker(x, ranks, 0).Tensor()), 1e-8)
			f := FitTucker(x, ranks, 100)
			require.InDelta(t, golden[1], x.Error(f.Tensor()), 1e-8)
			require.Equal(t, ranks[0]*ranks[1]*ranks[2]+4*ranks[0]+5*ranks[1]+3*ranks[2], f.Parameters())
		})
	}
	require.Less(t, x.Error(FitTucker(x, [3]int{4, 5, 3}, 10).Tensor()), 1e-12)
}

func TestUnfoldingIsUndone(t *testing.T) {
	x := example()
	for mode := range 3 {
		require.Equal(t, x, fold(x.unfold(mode), mode, x.Shape))
	}
}
