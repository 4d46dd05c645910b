// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// samplesOf draws of m's source with many noises at one slot: how often each token came.
func samplesOf(t *testing.T, m metro.Model, draws int) []float64 {
	t.Helper()
	be := backendtest.Go(t)
	b, rng := smallBatch(), rand.New(rand.NewPCG(1, 9))
	row := b.tokens[0]
	b.tokens, b.masked, b.rows = [][]int32{row}, [][]int32{row}, []float64{0}
	b.positions, b.weights, b.uniforms = [][]int32{make([]int32, draws)}, [][]float64{make([]float64, draws)}, [][]float64{make([]float64, draws)}
	for i := range draws {
		b.positions[0][i], b.uniforms[0][i] = 1, rng.Float64()
	}
	b.weights[0][0] = 1
	seen := make([]float64, m.Vocab)
	for _, id := range tensors.MustCopyFlatData[int32](call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node { return []*Node{p.Samples()} })[0]) {
		seen[id]++
	}
	return seen
}

// The two sources that need no generator draw by their tables, tempered, and never a special token.
func TestSourcesWithoutGenerator(t *testing.T) {
	const draws = 20_000
	for _, source := range []string{"unigram", "uniform"} {
		for _, temperature := range []string{"0.5", "1", "3"} {
			m := small(t, "replacements.source="+source, "replacements.temperature="+temperature)
			table := map[string][]float32{"unigram": m.LogUnigram, "uniform": m.LogUniform}[source]
			logits := make([]float32, len(table))
			for i, l := range table {
				logits[i] = l / float32(m.Config.Replacements.Temperature)
			}
			seen := samplesOf(t, m, draws)
			for id, p := range softmax(logits) {
				require.InDelta(t, p, seen[id]/draws, 5*math.Sqrt(p*(1-p)/draws), "%s, token %d", source, id)
			}
		}
	}
}

func TestSourcesNeedTheirTables(t *testing.T) {
	for source, want := range map[string]string{
		"unigram": `metro: source "unigram" wants Model.LogUnigram of 11 values, it has 0`,
		"uniform": `metro: source "uniform" wants Model.LogUniform of 11 values, it has 0`,
	} {
		m := small(t, "replacements.source="+source)
		m.LogUnigram, m.LogUniform = nil, nil
		require.PanicsWithError(t, want, func() { fresh(backendtest.Go(t), m) })
	}
}

// A frozen generator has weights and no term, and says of its variables that they do not learn; a joint one does.
func TestFrozenGenerator(t *testing.T) {
	be := backendtest.Go(t)
	frozen := small(t, "replacements.source=frozen", "replacements.checkpoint=somewhere", "sharing=none")
	joint := small(t, "sharing=none")
	list := paths(fresh(be, frozen))
	require.ElementsMatch(t, paths(fresh(be, joint)), list)
	learns := func(m metro.Model) (paths []string) {
		inv, complete := m.Config.Inventory(m.Vocab)
		require.True(t, complete)
		for _, w := range inv.Learning() {
			paths = append(paths, w.Path())
		}
		return paths
	}
	require.ElementsMatch(t, list, learns(joint))
	require.ElementsMatch(t, slices.DeleteFunc(list, func(path string) bool { return strings.HasPrefix(path, "/generator/") }), learns(frozen))
	var names []string
	values := call(be, shaken(be, frozen), frozen, smallBatch(), func(p *metro.Pass) []*Node {
		for _, term := range p.Terms {
			names = append(names, term.Name)
		}
		return []*Node{p.Samples(), p.GeneratorLogits()}
	})
	require.Equal(t, []string{"rtd", "clm"}, names)
	same := call(be, shaken(be, joint), joint, smallBatch(), func(p *metro.Pass) []*Node { return []*Node{p.Samples(), p.GeneratorLogits()} })
	require.Equal(t, same[0].Value(), values[0].Value())
	require.Equal(t, same[1].Value(), values[1].Value())
}

// Where samples come from while the generator has dropout: "train" draws from the pass that the loss is taken of, "eval"
// from a second one without dropout. Without a dropout key, and without dropout, all are one.
func TestDropoutOfTheSamplingPass(t *testing.T) {
	be := backendtest.Go(t)
	// At a temperature near 0 a sample is the arg max of the logits that it is drawn from.
	pass := func(dropout, rate string, key ...uint64) (samples, logits any) {
		m := small(t, "replacements.dropout="+dropout, "generator.dropout="+rate, "replacements.temperature=1e-4")
		out := call(be, shaken(be, m), m, smallBatch(), func(p *metro.Pass) []*Node { return []*Node{p.Samples(), p.GeneratorLogits()} }, key...)
		return out[0].Value(), out[1].Value()
	}
	best := func(logits any) (ids [][]int32) {
		for _, row := range logits.([][][]float64) {
			ids = append(ids, nil)
			for _, slot := range row {
				ids[len(ids)-1] = append(ids[len(ids)-1], argMax(slot))
			}
		}
		return ids
	}
	_, quiet := pass("zero", "0")
	differ := 0
	for key := range uint64(4) {
		evalSamples, evalLogits := pass("eval", "0.5", key, 1, 0)
		trainSamples, trainLogits := pass("train", "0.5", key, 1, 0)
		require.Equal(t, trainLogits, evalLogits, "the loss is of the pass with dropout")
		require.NotEqual(t, quiet, trainLogits)
		require.Equal(t, best(quiet), evalSamples)
		require.Equal(t, best(trainLogits), trainSamples)
		if !reflect.DeepEqual(evalSamples, trainSamples) {
			differ++
		}
	}
	require.Positive(t, differ)
	for _, dropout := range []string{"train", "eval"} {
		samples, logits := pass(dropout, "0.5")
		require.Equal(t, quiet, logits, "evaluation has no dropout")
		require.Equal(t, best(quiet), samples)
	}
}
