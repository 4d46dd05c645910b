// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

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
	be := backendtest.Go(t)
	m := small(t, "objective.name=rtd_clm_scl")
	exec := model.MustNewExec(be, shaken(be, m), func(scope *model.Scope, in []*Node) []*Node {
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

// Each pass of the main model has dropout masks of its own, by its name: the plain one, which reads the corrupted rows,
// among them. Without dropout the name does not matter.
func TestPassesDropApart(t *testing.T) {
	be, m := backendtest.Go(t), small(t, "main.dropout=0.5")
	store := shaken(be, m)
	states := func(key ...uint64) (list []any) {
		for _, x := range call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node {
			encode := func(name string) *Node { return p.Encode(p.Corrupted(), p.NonPad, name) }
			return []*Node{p.States(), encode(""), encode("crop"), encode("crop"), encode("other")}
		}, key...) {
			list = append(list, x.Value())
		}
		return list
	}
	x := states(1, 2, 0)
	require.Equal(t, x[0], x[1])
	require.Equal(t, x[2], x[3])
	require.NotEqual(t, x[0], x[2])
	require.NotEqual(t, x[0], x[4])
	require.NotEqual(t, x[2], x[4])
	quiet := states()
	for _, y := range quiet {
		require.Equal(t, quiet[0], y)
		require.NotEqual(t, x[0], y)
	}
}

// Step 0: RTD is ln 2 whatever the encoder does, since its output starts at 0, and so is the part of copying in the
// forms that copy, which is ½. Tied heads over normalised states of width H and embeddings of σ give
// L = ln V + H·σ²/2 (the log-sum-exp of V draws from N(0, H·σ²)), everywhere.
func TestLossesAtStepZero(t *testing.T) {
	be := backendtest.Go(t)
	for _, recipe := range []string{"micro", "tiny"} {
		for _, o := range everyObjective {
			m, args := randomRows(t, recipe, o.set)
			var names []string
			exec := model.MustNewExec(be, float64Store(1), func(scope *model.Scope, in []*Node) []*Node {
				p := forward(m, scope, in)
				share := func(x *Node) *Node { return ReduceAllMean(ConvertDType(x, p.Loss.DType())) }
				out := []*Node{Neg(p.Loss), Neg(p.Loss)}
				if p.Built("Replaced") != nil {
					out = []*Node{share(p.AtPositions(p.Replaced())), share(p.Replaced())}
				}
				names = nil
				for _, term := range p.Terms {
					names, out = append(names, term.Name), append(out, term.Loss)
				}
				return out
			})
			out := exec.MustCall(args...)
			exec.Finalize()
			replacedMasked, replacedAll := number(out[0]), number(out[1])
			plain := math.Log(float64(m.Vocab)) + float64(m.Config.Main.Width)*0.02*0.02/2
			clm := map[string]float64{
				metro.CLMSimplified: plain, metro.CLMWithoutCopy: plain, metro.CLMWeighted: plain / 2,
				metro.CLMMixture: math.Ln2 + replacedMasked*plain, metro.CLMMixtureFlow: math.Ln2 + replacedMasked*plain,
			}
			lm := plain
			if m.Config.Objective.Name == "all_token_lm" {
				lm = math.Ln2 + replacedAll*plain
			}
			for i, name := range names {
				got := number(out[2+i])
				switch name {
				case "generator":
					require.InDelta(t, plain, got, 0.05, o.set)
				case "rtd", "second_rtd":
					require.InDelta(t, math.Ln2, got, 1e-12, o.set)
				case "clm", "second_clm":
					require.InDelta(t, clm[m.Config.Objective.CLM], got, 0.05, o.set)
				case "lm":
					require.InDelta(t, lm, got, 0.05, o.set)
				case "scl": // between views that are all told apart and views that are all the same
					require.Less(t, got, math.Log(2*rowsAtStepZero-1))
				}
			}
		}
	}
}

const rowsAtStepZero = 4

// randomRows is a recipe over 512 tokens, and inputs for it: random rows with every other position masked, from the
// second on, as many as the recipe masks.
func randomRows(t *testing.T, recipe, set string) (m metro.Model, args []any) {
	t.Helper()
	const v, rows = 512, rowsAtStepZero
	c, err := recipes.Get(recipe)
	require.NoError(t, err)
	for _, a := range strings.Fields(set) {
		require.NoError(t, c.Set(a))
	}
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
	return metro.Model{Config: c, Vocab: v}, []any{
		tensors.FromFlatDataAndDimensions(tokens, rows, s), tensors.FromFlatDataAndDimensions(masked, rows, s),
		tensors.FromFlatDataAndDimensions(positions, rows, p), tensors.FromFlatDataAndDimensions(weights, rows, p),
		tensors.FromFlatDataAndDimensions(noise, rows, p), make([]float64, rows),
	}
}
