// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// detect scores rows with the model's weights.
func detect(t *testing.T, store *model.Store, m metro.Model, rows [][]int32) [][]float64 {
	t.Helper()
	exec := model.MustNewExec(backendtest.Go(t), store, func(scope *model.Scope, rows *Node) *Node {
		return m.Detect(scope, rows, Scalar(rows.Graph(), dtypes.Float64, m.Config.Positions.Scale))
	})
	defer exec.Finalize()
	return exec.MustCall(rows)[0].Value().([][]float64)
}

// A model is asked through the head that it was trained with: the RTD logits where there are any, else how unlikely the
// main model finds what stands there.
func TestDetect(t *testing.T) {
	be := backendtest.Go(t)
	for _, o := range everyObjective {
		m := small(t, strings.Fields(o.set)...)
		store := shaken(be, m)
		rows := smallBatch().tokens
		out := call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node {
			states := p.Encode(p.Batch.Tokens, p.NonPad, "")
			switch {
			case p.Built("RTDLogits") != nil:
				return []*Node{m.RTDHead(store.RootScope(), states)}
			case p.Built("CLMLogits") != nil:
				return []*Node{m.CLMHead(store.RootScope(), states)}
			default:
				return []*Node{p.LMLogits(states)}
			}
		})
		got := detect(t, store, m, rows)
		for i := range rows {
			for k, id := range rows[i] {
				switch values := out[0].Value().(type) {
				case [][]float64:
					require.InDelta(t, values[i][k], got[i][k], 1e-12, o.set)
				case [][][]float64:
					require.InDelta(t, negativeLogLikelihood(values[i][k], id), got[i][k], 1e-12, o.set)
				}
			}
		}
	}
}

func TestDetectNeedsAHead(t *testing.T) {
	m := small(t)
	g := NewGraph(backendtest.Go(t), t.Name())
	defer g.Finalize()
	store := float64Store(1)
	model.SetStore(g, store)
	require.PanicsWithError(t, `metro: the model has no head that could detect replaced tokens (objective "rtd_clm")`, func() {
		m.Detect(store.RootScope(), Const(g, smallBatch().tokens), Scalar(g, dtypes.Float64, 1))
	})
}

// The states after each layer: the embeddings' output first, what heads read last.
func TestLayers(t *testing.T) {
	be, m := backendtest.Go(t), small(t)
	store := shaken(be, m)
	var layers, generatorLayers int
	out := call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node {
		scope, b := store.RootScope(), p.Batch
		nodes := m.MainLayers(scope, b.Tokens, p.NonPad, p.Scalars.BiasScale, nil)
		generator := m.GeneratorLayers(scope, b.Masked, p.NonPad, p.Scalars.BiasScale, nil)
		layers, generatorLayers = len(nodes)-1, len(generator)-1
		head := m.GeneratorHead(scope, metro.GatherPositions(generator[len(generator)-1], b.Positions))
		return append(nodes, m.MainStates(scope, b.Tokens, p.NonPad, p.Scalars.BiasScale, nil), head, p.GeneratorLogits())
	})
	require.Equal(t, []int{m.Config.Main.Layers, m.Config.Generator.Layers}, []int{layers, generatorLayers})
	require.Equal(t, []int{2, 8, 8}, out[0].Shape().Dimensions)
	require.NotEqual(t, out[0].Value(), out[1].Value())
	require.Equal(t, out[2].Value(), out[3].Value())
	require.Equal(t, out[4].Value(), out[5].Value())
}
