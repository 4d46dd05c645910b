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
	"gonum.org/v1/gonum/mat"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// muonStep is the direction of one step for a layer's matrix, and what is remembered, for a gradient and what was remembered before.
func muonStep(t *testing.T, be compute.Backend, c metro.Config, gradient, before [][]float64) (direction, after *mat.Dense) {
	t.Helper()
	out := muonStepOf(t, be, c, gradient, before)
	dense := func(x *tensors.Tensor) *mat.Dense {
		dims := x.Shape().Dimensions
		return mat.NewDense(dims[0], dims[1], tensors.MustCopyFlatData[float64](x))
	}
	return dense(out[0]), dense(out[1])
}

// muonStepOf is muonStep for matrices side by side too.
func muonStepOf(t *testing.T, be compute.Backend, c metro.Config, gradient, before any) []*tensors.Tensor {
	t.Helper()
	entry, ok := metro.OptimizerNamed(metro.OptimizerMuon)
	require.True(t, ok)
	return MustExecOnceN(be, func(g, m *Node) []*Node {
		u := &metro.Update{
			Weight:   metro.Weight{Role: layers.RoleDense, Shape: g.Shape().Dimensions},
			Gradient: g, Config: c.Optimizer, Option: c.OptionsOf("optimizer.options"),
			State: map[string]*Node{"m": m}, Next: map[string]*Node{},
		}
		d := entry.Update(u)
		return []*Node{d, u.Next["m"]}
	}, gradient, before)
}

// The direction of a layer's matrix is, but for its factor, nearly the orthogonal matrix next to what the momentum and the gradient
// say, whatever their size: as gonum's singular values and vectors have it.
func TestMuonsDirectionIsOrthogonal(t *testing.T) {
	c := recipes.Tiny()
	require.NoError(t, c.SetAll("optimizer.name=muon", "optimizer.options.momentum=0.75"))
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, shape := range [][2]int{{8, 8}, {6, 16}, {16, 6}} {
			rng := rand.New(rand.NewPCG(uint64(shape[0]), 2))
			random := func(size float64) (rows [][]float64, all *mat.Dense) {
				all = mat.NewDense(shape[0], shape[1], nil)
				for i := range shape[0] {
					rows = append(rows, make([]float64, shape[1]))
					for j := range shape[1] {
						rows[i][j] = size * rng.NormFloat64()
						all.Set(i, j, rows[i][j])
					}
				}
				return rows, all
			}
			gradient, g := random(1e-3)
			before, m := random(1e-2)
			direction, after := muonStep(t, be, c, gradient, before)

			var wanted, ahead mat.Dense
			wanted.Scale(0.75, m)
			g.Scale(0.25, g)
			wanted.Add(&wanted, g)
			require.True(t, mat.EqualApprox(&wanted, after, 1e-12), "m = μm+(1−μ)g")
			ahead.Scale(0.75, &wanted)
			ahead.Add(&ahead, g)

			direction.Scale(1/(0.2*math.Sqrt(float64(max(shape[0], shape[1])))), direction)
			var svd mat.SVD
			require.True(t, svd.Factorize(direction, mat.SVDThin))
			for _, s := range svd.Values(nil) {
				require.InDelta(t, 1, s, 0.35, "a singular value of %v", shape)
			}
			require.True(t, svd.Factorize(&ahead, mat.SVDThin))
			var u, v, polar, product mat.Dense
			svd.UTo(&u)
			svd.VTo(&v)
			polar.Mul(&u, v.T())
			product.Mul(direction.T(), &polar)
			short := float64(min(shape[0], shape[1]))
			cosine := mat.Trace(&product) / (mat.Norm(direction, 2) * math.Sqrt(short))
			require.Greater(t, cosine, 0.97, "%v is turned away from the nearest orthogonal matrix", shape)
		}
	})
}

// Nothing moves a matrix whose gradients are 0; what is no layer's matrix moves as under AdamW, and has its memories.
func TestMuonElsewhere(t *testing.T) {
	c := recipes.Tiny()
	require.NoError(t, c.Set("optimizer.name=muon"))
	be := backendtest.Go(t)
	nothing := [][]float64{{0, 0}, {0, 0}}
	direction, _ := muonStep(t, be, c, nothing, nothing)
	require.Zero(t, mat.Norm(direction, 2))

	muon, _ := metro.OptimizerNamed(metro.OptimizerMuon)
	adamW, _ := metro.OptimizerNamed(metro.OptimizerAdamW)
	for _, w := range []metro.Weight{
		{Role: layers.RoleTable, Shape: []int{2, 2}, Place: metro.Place{Layer: -1}}, {Role: layers.RoleBias, Shape: []int{2, 2}},
		{Role: layers.RoleDense, Shape: []int{2, 2}, Place: metro.Place{Layer: -1, Head: metro.HeadRTD}},
	} {
		require.Equal(t, []string{"m", "v"}, muon.StateOf(w))
		directions := MustExecOnceN(be, func(g *Node) (out []*Node) {
			for _, entry := range []metro.OptimizerEntry{muon, adamW} {
				one := ScalarOne(g.Graph(), g.DType())
				out = append(out, entry.Update(&metro.Update{
					Weight: w, Gradient: g, Correction1: one, Correction2: one, Config: c.Optimizer, Option: c.OptionsOf("optimizer.options"),
					State: map[string]*Node{"m": MulScalar(g, 0.3), "v": Square(g)}, Next: map[string]*Node{},
				}))
			}
			return out
		}, [][]float64{{1, -2}, {3, 0.5}})
		require.Equal(t, directions[1].Value(), directions[0].Value())
	}
	require.Equal(t, []string{"m"}, muon.StateOf(metro.Weight{Role: layers.RoleDense, Shape: []int{2, 2}}))
}

// Each expert's matrix moves as it would by itself, whatever the size of the others' gradients.
func TestMuonMovesEachExpertByItself(t *testing.T) {
	c := recipes.Tiny()
	require.NoError(t, c.SetAll("optimizer.name=muon"))
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		rng := rand.New(rand.NewPCG(5, 2))
		gradients, before := make([][][]float64, 3), make([][][]float64, 3)
		for e := range gradients {
			for range 4 {
				row, old := make([]float64, 6), make([]float64, 6)
				for j := range row {
					row[j], old[j] = math.Pow(10, float64(-e))*rng.NormFloat64(), rng.NormFloat64()
				}
				gradients[e], before[e] = append(gradients[e], row), append(before[e], old)
			}
		}
		all := muonStepOf(t, be, c, gradients, before)
		for i := range all {
			together := tensors.MustCopyFlatData[float64](all[i])
			for e := range gradients {
				alone := tensors.MustCopyFlatData[float64](muonStepOf(t, be, c, gradients[e], before[e])[i])
				require.InDeltaSlice(t, alone, together[e*24:(e+1)*24], 1e-12)
			}
		}
	})
}
