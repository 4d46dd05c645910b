// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// Ideas of a user's own, registered as a program outside the module would.
func init() {
	// RTD by a head of its own that looks at two states, with a term of no weight.
	metro.RegisterObjective("test_two_heads", 3, func(p *metro.Pass) []metro.Term {
		logits := metro.RTDLogits(p.Head("second"), p.Model.Config.Main, p.States(), metro.RTDHeadLinear, false)
		both := Add(p.RTDLogits(), logits)
		return append(p.GeneratorTerms(), metro.Term{Name: "both", Loss: metro.RTDLoss(both, p.Replaced(), p.NonPad)})
	})
	metro.RegisterObjective("test_nothing", 1, func(*metro.Pass) []metro.Term { return nil })
	// Draws from the second half of the vocabulary, alike.
	metro.RegisterSource("test_late", 2, func(p *metro.Pass) *Node {
		slots := p.Batch.Positions.Shape()
		late := make([]float32, p.Model.Vocab)
		for id := range late {
			if id < len(late)/2 {
				late[id] = -1e9
			}
		}
		return BroadcastPrefix(Const(p.Batch.Positions.Graph(), late), slots.Dim(0), slots.Dim(1))
	})
	// The generator's own logits, twice as sure.
	metro.RegisterSource("test_sure", 1, func(p *metro.Pass) *Node { return MulScalar(p.GeneratorLogits(), 2) })
	// The mean length of the main model's states.
	metro.RegisterMetric("test_length", 4, func(p *metro.Pass) (sum, count *Node) {
		lengths := Sqrt(ReduceSum(Square(p.States()), -1))
		return ReduceAllSum(lengths), ReduceAllSum(OnesLike(lengths))
	})
}

// A source of one's own trains the generator if it draws from it, and makes none if it does not.
func TestRegisteredSourceAndTheGenerator(t *testing.T) {
	be := backendtest.Go(t)
	for source, trains := range map[string]bool{"test_sure": true, "test_late": false} {
		store := fresh(be, small(t, "objective.name=rtd", "replacements.source="+source))
		require.Equal(t, trains, store.GetVariable("/generator/head/output_bias") != nil, source)
	}
}

// What is registered is among the choices, is accepted by a config as everything else is, is built and measured, and
// stands in the config's components with its version. A name that nobody registered is refused with the list of those
// that are.
func TestRegisteredParts(t *testing.T) {
	choices := metro.Choices()
	require.Contains(t, choices["objective.name"], "test_two_heads")
	require.Contains(t, choices["replacements.source"], "test_late")
	m := small(t, "objective.name=test_two_heads", "replacements.source=test_late", "evaluation.metrics=test_length")
	require.Equal(t, map[string]int{"objective/test_two_heads": 3, "source/test_late": 2, "metric/test_length": 4}, m.Config.Components())

	be := backendtest.Go(t)
	var names []string
	out := call(be, shaken(be, m), m, smallBatch(), func(p *metro.Pass) []*Node {
		tally, measured := p.Tally()
		names = measured
		return []*Node{p.Samples(), tally, Sub(p.Loss, term("both")(p))}
	})
	for _, row := range out[0].Value().([][]int32) {
		for _, id := range row {
			require.GreaterOrEqual(t, id, int32(5))
		}
	}
	tally := metro.ReadTally(flat(out[1]), names)
	require.Positive(t, tally.Metric("test_length"))
	require.Equal(t, tally.Metric("loss"), tally.Metric("both_loss"))
	require.Zero(t, number(out[2]), "a term without a weight has the weight 1, and this source has no generator")
	require.Contains(t, paths(fresh(be, m)), "/main/second/output/weights")

	c := recipes.Micro()
	require.Equal(t, map[string]int{"objective/rtd_clm": 1, "source/joint": 1}, c.Components())
	require.NoError(t, c.Set("evaluation.metrics=test_length, test_speed"))
	err := c.Validate()
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, `evaluation.metrics: there is no metric "test_speed"; registered are [`)
	require.ErrorContains(t, err, `"test_length"`)
}

// Another component is another computation.
func TestRegisteredPartsHaveGraphKeys(t *testing.T) {
	base := recipes.Micro()
	keys := map[string]bool{base.GraphKey(): true}
	for _, assignment := range []string{"objective.name=test_two_heads", "replacements.source=test_late", "evaluation.metrics=test_length"} {
		c := base
		require.NoError(t, c.Set(assignment))
		require.False(t, keys[c.GraphKey()])
		keys[c.GraphKey()] = true
	}
}

// Mistakes of a program are found when it starts.
func TestRegisterPanics(t *testing.T) {
	for want, register := range map[string]func(){
		`metro: objective "rtd" version 2: the name must be new and not empty, the version 1 or more`: func() { metro.RegisterObjective("rtd", 2, nil) },
		`metro: objective "" version 1: the name must be new and not empty, the version 1 or more`:    func() { metro.RegisterObjective("", 1, nil) },
		`metro: an optimizer cannot be called "main": its state lies in a scope of its name`:          func() { metro.RegisterOptimizer("main", 1, nil, nil) },
		`metro: source "mine" version 0: the name must be new and not empty, the version 1 or more`:   func() { metro.RegisterSource("mine", 0, nil) },
		`metro: metric "test_length" version 5: the name must be new and not empty, the version 1 or more`: func() {
			metro.RegisterMetric("test_length", 5, nil)
		},
	} {
		require.PanicsWithError(t, want, register)
	}
	m := small(t, "objective.name=test_nothing")
	require.PanicsWithError(t, `metro: objective "test_nothing" has no terms`, func() { fresh(backendtest.Go(t), m) })
	m.Config.Objective.Name = "test_missing"
	require.PanicsWithError(t, `metro: there is no objective "test_missing"`, func() { fresh(backendtest.Go(t), m) })
}
