// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"fmt"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// Within documents, what stands in one document of a row changes nothing in another one, in either direction; across them it
// does. The generator's logits and the main model's states are asked, the latter where a sample could be a [SEP] itself.
func TestDocumentsOfARow(t *testing.T) {
	be := backendtest.Go(t)
	ask := func(m metro.Model, b batch) (generator, states [][][]float64) {
		out := call(be, shaken(be, m), m, b, func(p *metro.Pass) []*Node { return []*Node{p.GeneratorLogits(), p.States()} })
		return out[0].Value().([][][]float64), out[1].Value().([][][]float64)
	}
	with := func(first, second int32) batch {
		b := smallBatch()
		b.tokens = [][]int32{{2, first, 6, 3, 8, second, 3, 7}, {2, 5, 3, 9, 6, 3, 0, 0}}
		b.masked = [][]int32{{2, first, 4, 3, 4, second, 3, 7}, {2, 5, 3, 4, 6, 3, 0, 0}}
		b.positions = [][]int32{{2, 4}, {3, 0}}
		return b
	}
	for _, within := range []bool{false, true} {
		m := small(t, fmt.Sprintf("positions.within_documents=%t", within))
		m.SepID = 3
		generator, states := ask(m, with(5, 9))
		generatorFirst, statesFirst := ask(m, with(10, 9))
		generatorSecond, statesSecond := ask(m, with(5, 10))
		unchanged := func(want bool, a, b []float64, what string) {
			t.Helper()
			require.Equal(t, want, equalTo(a, b), "within %t: %s", within, what)
		}
		unchanged(within, generator[0][1], generatorFirst[0][1], "the generator's guess in the second document")
		unchanged(within, generator[0][0], generatorSecond[0][0], "the generator's guess in the first document")
		unchanged(within, states[0][4], statesFirst[0][4], "a state of the second document")
		unchanged(within, states[0][0], statesSecond[0][0], "[CLS], which is of the first document")
		unchanged(within, states[0][7], statesSecond[0][7], "the document that the row cuts")
		unchanged(false, states[0][2], statesFirst[0][2], "a state of the changed document")
		unchanged(true, states[1][4], statesFirst[1][4], "another row")
	}
}

// equalTo reports whether two vectors are equal but for rounding.
func equalTo(a, b []float64) bool {
	for i := range a {
		if diff := a[i] - b[i]; diff > 1e-9 || diff < -1e-9 {
			return false
		}
	}
	return true
}
