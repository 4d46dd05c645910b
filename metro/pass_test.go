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
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// What stands in the padding must not matter to any number, nor the shape of the padding to a row's real tokens.
func TestPaddingChangesNothing(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		m := small(t, "objective.name=rtd_clm_scl")
		store := shaken(be, m)
		exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
			p := forward(m, scope, in)
			return []*Node{p.Loss, Mul(p.RTDLogits(), ConvertDType(p.NonPad, p.RTDLogits().DType()))}
		})
		defer exec.Finalize()
		b := smallBatch()
		first := exec.MustCall(b.args()...)
		for _, id := range []int32{1, 4, 7} { // the generator's input at padding; padding is known by the original row
			b.masked[1][6] = id
			again := exec.MustCall(b.args()...)
			for i := range first {
				require.Equal(t, first[i].Value(), again[i].Value())
			}
		}
	})
}

// A row alone and the same row beside a padded one have the same logits.
func TestRowsDoNotSeeEachOther(t *testing.T) {
	be := backendtest.Go(t)
	m := small(t)
	exec := model.MustNewExec(be, shaken(be, m), func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{m.Detect(scope, in[0], Scalar(in[0].Graph(), dtypes.Float64, 3))}
	})
	defer exec.Finalize()
	both := exec.MustCall([][]int32{{2, 5, 6, 7, 8, 9, 6, 3}, {2, 9, 10, 5, 3, 0, 0, 0}})[0].Value().([][]float64)
	other := exec.MustCall([][]int32{{2, 5, 6, 7, 8, 9, 6, 3}, {2, 1, 1, 1, 1, 1, 1, 1}})[0].Value().([][]float64)
	require.InDeltaSlice(t, both[0], other[0], 1e-12)
}

// Step 0: RTD = ln 2 whatever the encoder does; tied heads over normalised states of width H and embeddings of σ give
// ln V + H·σ²/2 (the log-sum-exp of V draws from N(0, H·σ²)).
func TestLossesAtStepZero(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, name := range []string{"micro", "tiny"} {
			c, err := recipes.Get(name)
			require.NoError(t, err)
			const v, rows = 512, 4
			s, p := c.Data.SeqLen, c.MaskedPositions()
			rng := rand.New(rand.NewPCG(1, 2))
			tokens, masked, positions := make([]int32, rows*s), make([]int32, rows*s), make([]int32, rows*p)
			weights, noise := make([]float64, rows*p), make([]float64, rows*p)
			for i := range tokens {
				tokens[i] = 5 + rng.Int32N(v-5)
			}
			copy(masked, tokens)
			for i := range positions {
				positions[i], weights[i], noise[i] = int32(2*(i%p)+1), 1, rng.Float64()
				masked[i/p*s+int(positions[i])] = 4
			}
			m := metro.Model{Config: c, Vocab: v}
			exec := model.MustNewExec(be, float64Store(1), func(scope *model.Scope, in []*Node) []*Node {
				p := forward(m, scope, in)
				return []*Node{term("rtd")(p), term("generator")(p), term("clm")(p)}
			})
			out := exec.MustCall(
				tensors.FromFlatDataAndDimensions(tokens, rows, s), tensors.FromFlatDataAndDimensions(masked, rows, s),
				tensors.FromFlatDataAndDimensions(positions, rows, p), tensors.FromFlatDataAndDimensions(weights, rows, p),
				tensors.FromFlatDataAndDimensions(noise, rows, p), make([]float64, rows))
			exec.Finalize()
			require.InDelta(t, math.Ln2, number(out[0]), 1e-12, name)
			want := math.Log(v) + float64(c.Main.Width)*0.02*0.02/2
			require.InDelta(t, want, number(out[1]), 0.05, name)
			require.InDelta(t, want, number(out[2]), 0.05, name)
		}
	})
}
