// SPDX-License-Identifier: Apache-2.0

package moe_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers/moe"
)

func TestCapacity(t *testing.T) {
	for _, test := range []struct {
		router   moe.Router
		tokens   int
		training bool
		want     int
	}{
		{moe.Router{Experts: 4, Choices: 1, TrainingCapacity: 1, EvaluationCapacity: 2}, 2048, true, 512},
		{moe.Router{Experts: 4, Choices: 1, TrainingCapacity: 1, EvaluationCapacity: 2}, 2048, false, 1024},
		{moe.Router{Experts: 4, Choices: 2, TrainingCapacity: 1}, 2048, true, 1024},
		{moe.Router{Experts: 4, Choices: 2, TrainingCapacity: 1}, 2048, false, 2048}, // 0: room for all
		{moe.Router{Experts: 4, Choices: 2, TrainingCapacity: 0.5}, 12, true, 3},
		{moe.Router{Experts: 4, Choices: 1, TrainingCapacity: 0.5}, 12, true, 2}, // 1.5
		{moe.Router{Experts: 1, Choices: 1, TrainingCapacity: 2}, 12, true, 12},
		{moe.Router{Experts: 1, Choices: 1, TrainingCapacity: 1.1}, 10, true, 10},
		{moe.Router{Experts: 2, Choices: 1, TrainingCapacity: 1.1}, 20, true, 11}, // in float64 a little more than 11
		{moe.Router{Experts: 64, Choices: 1, TrainingCapacity: 1, MinCapacity: 4}, 128, true, 4},
		{moe.Router{Experts: 64, Choices: 1, TrainingCapacity: 1, MinCapacity: 4}, 3, true, 3},
		{moe.Router{Experts: 64, Choices: 1, TrainingCapacity: 1}, 8, true, 1},
	} {
		require.Equal(t, test.want, test.router.Capacity(test.tokens, test.training), "%+v", test)
	}
}

// What can not be is said when the graph is built.
func TestPanics(t *testing.T) {
	build := func(change func(f *moe.FeedForward), dims ...int) func() {
		return func() {
			g := NewGraph(backendtest.Go(t), t.Name())
			defer g.Finalize()
			store := model.NewStore()
			model.SetStore(g, store)
			f := mixture(4, 2, 1)
			change(&f)
			f.Apply(store.RootScope(), Parameter(g, "x", shapes.Make(dtypes.Float32, dims...)), nil)
		}
	}
	require.NotPanics(t, build(func(*moe.FeedForward) {}, 2, 3, width))
	for text, change := range map[string]func(r *moe.Router){
		"1 or 2 experts of at least as many, not 3 of 4":        func(r *moe.Router) { r.Choices = 3 },
		"1 or 2 experts of at least as many, not 0 of 4":        func(r *moe.Router) { r.Choices = 0 },
		"1 or 2 experts of at least as many, not 2 of 1":        func(r *moe.Router) { r.Experts = 1 },
		"capacities and rows are 0 or more, not -1 in training": func(r *moe.Router) { r.TrainingCapacity = -1 },
		"2 rows do not make groups of 3":                        func(r *moe.Router) { r.GroupRows = 3 },
		"below 1, not 1":                                        func(r *moe.Router) { r.Jitter = 1 },
	} {
		require.Contains(t, panicText(build(func(f *moe.FeedForward) { change(&f.Router) }, 2, 3, width)), text)
	}
	flat := panicText(build(func(*moe.FeedForward) {}, 6, width))
	require.Contains(t, flat, "expected states [rows, positions, width], got (Float32)[6, 8]")
	route := func(mask, priority []int, choices, capacity int) func() {
		return func() {
			g := NewGraph(backendtest.Go(t), t.Name())
			defer g.Finalize()
			var m, p *Node
			if mask != nil {
				m = Parameter(g, "mask", shapes.Make(dtypes.Bool, mask...))
			}
			if priority != nil {
				p = Parameter(g, "priority", shapes.Make(dtypes.Float32, priority...))
			}
			moe.Route(Parameter(g, "logits", shapes.Make(dtypes.Float32, 1, 6, 2)), m, moe.Lots{Priority: p}, choices, capacity)
		}
	}
	require.NotPanics(t, route([]int{1, 6}, []int{1, 6, 2}, 2, 6))
	for text, f := range map[string]func(){
		"at least as many experts, got 3 and (Float32)[1, 6, 2]": route(nil, nil, 3, 1),
		"the mask of logits (Float32)[1, 6, 2] is bool [1 6]":    route([]int{5}, nil, 1, 1),
		"lots have a float32 for each of the logits":             route(nil, []int{6}, 1, 1),
		"1 to 6 slots for as many tokens, not 7":                 route(nil, nil, 1, 7),
		"1 to 6 slots for as many tokens, not 0":                 route(nil, nil, 1, 0),
	} {
		require.Contains(t, panicText(f), text)
	}
}

// panicText is what f panics with.
func panicText(f func()) (text string) {
	defer func() {
		if err, ok := recover().(error); ok {
			text = err.Error()
		}
	}()
	f()
	return ""
}
