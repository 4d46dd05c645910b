// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/training"
)

// built counts how often a workload's graphs are built.
type built struct {
	*training.Pretraining
	forward int
}

func (b *built) Forward(scope *model.Scope, in []*Node, scalars, key *Node, micro *metro.MicroBatch) training.Output {
	b.forward++
	return b.Pretraining.Forward(scope, in, scalars, key, micro)
}

// What is compiled ahead is what a step runs: nothing is left to build when it runs.
func TestCompileStepIsTheStep(t *testing.T) {
	be := backendtest.Go(t)
	for _, c := range []struct {
		settings []string
		graphs   []string
	}{
		{nil, []string{"step ×1"}},
		{[]string{"training.ema=0.9"}, []string{"step ×1", "average ×1"}},
		{[]string{"training.accumulate=2"}, []string{"gather ×2", "accumulate ×2", "apply ×1"}},
		{[]string{"training.accumulate=2", "objective.name=rtd_clm_scl"}, []string{"gather ×2", "accumulate ×2", "apply ×1"}},
	} {
		config := assigned(t, append([]string{"training.batch_size=4", "data.seq_len=12", "evaluation.rows=4"}, c.settings...)...)
		w := &built{Pretraining: training.NewPretraining(metro.Model{Config: config, Vocab: vocab})}
		p := training.NewProgram(be, w)
		require.NoError(t, p.Start(w))
		var graphs []string
		note := func(name string, times int) error {
			graphs = append(graphs, fmt.Sprintf("%s ×%d", name, times))
			return nil
		}
		require.NoError(t, p.CompileStep(note))
		require.Equal(t, c.graphs, graphs)
		before := w.forward
		_, err := p.Step(w.Host(randomBatch(config, vocab, 1)), 1)
		require.NoError(t, err)
		require.NoError(t, p.Average(1))
		require.Equal(t, before, w.forward, "%v: a graph was built that was not compiled ahead", c.settings)
		p.Close()

		graphs = nil
		require.NoError(t, training.CompileStep(be, w, note))
		require.Equal(t, c.graphs, graphs)
	}
}
