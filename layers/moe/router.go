// SPDX-License-Identifier: Apache-2.0

package moe

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/layers"
)

// Router says how tokens find their experts.
type Router struct {
	Experts            int                // E
	Choices            int                // experts of a token, 1 or 2
	TrainingCapacity   float64            // slots of all experts together, as a multiple of all choices; 0 = enough for all
	EvaluationCapacity float64            // the same, when evaluating
	MinCapacity        int                // slots that an expert has at least
	GroupRows          int                // rows that share slots, by which a batch is divisible; 0 = all rows of a batch
	EvaluationRows     int                // the same, when evaluating: with 1 no answer depends on the rows beside it; 0 = GroupRows
	RandomSelection    bool               // in training, who finds a slot is drawn by lot; else who comes first, row by row
	RandomSecond       bool               // in training, second choices are drawn by their probabilities; see [Lots]
	Jitter             float64            // in training, what the gate reads is multiplied by numbers from 1 ± Jitter
	Whole              bool               // of one choice: it counts whole, not p times, so that copies of a map are that map
	Init               layers.Initializer // of the gate's weights; nil = N(0, 0.02²)
}

// Capacity returns C, the slots of each expert for a group of tokens, padding included, as shapes are static:
//
//	C = min(tokens, max(MinCapacity, ⌈capacity·tokens·Choices/Experts⌉))
//
// More than tokens are never needed, as no token chooses an expert twice. DeepSpeed's has no such bound.
func (r Router) Capacity(tokens int, training bool) int {
	factor := r.EvaluationCapacity
	if training {
		factor = r.TrainingCapacity
	}
	if factor == 0 {
		return tokens
	}
	slots := factor * float64(tokens*r.Choices) / float64(r.Experts)
	return min(tokens, max(r.MinCapacity, 1, int(math.Ceil(slots-1e-9)))) // 1.1·10 is 11 slots, whatever its last bit
}

// weights lists the gate's only weight, [H, E]: a bias could prefer an expert whatever the token.
func (r Router) weights(width int) []layers.Weight {
	init := r.Init
	if init == nil {
		init = layers.InitNormal(0.02)
	}
	return []layers.Weight{{Kind: "weights", Shape: []int{width, r.Experts}, Init: init, Role: layers.RoleGate}}
}

// logits are the gate's, [T, E], for x [B, S, H] and the weights w [H, E]: in float32 whatever the dtype in which matrices are
// multiplied, as rounding decides between experts (Fedus et al., 2021, call it selective precision).
func (r Router) logits(scope *model.Scope, x, w, key *Node) *Node {
	x = widened(x)
	if key != nil && r.Jitter > 0 {
		u := ConvertDType(layers.Uniform(scope, "jitter", key, x.Shape().Dimensions...), x.DType())
		x = Mul(x, AddScalar(MulScalar(u, 2*r.Jitter), 1-r.Jitter))
	}
	width := x.Shape().Dim(-1)
	return Dot(Reshape(x, x.Shape().Size()/width, width), ConvertDType(w, x.DType())).EinsumAxes([][2]int{{1, 0}}, nil)
}

// route routes x, [B, S, H], by its logits, [T, E].
func (r Router) route(scope *model.Scope, x, logits, mask, key *Node) Routing {
	rows, groups, each := x.Shape().Dim(0), 1, r.GroupRows
	if key == nil && r.EvaluationRows > 0 {
		each = r.EvaluationRows
	}
	if each > 0 {
		groups = rows / each
	}
	if each > 0 && groups*each != rows {
		exceptions.Panicf("moe: %d rows do not make groups of %d", rows, each)
	}
	tokens := logits.Shape().Dim(0) / groups
	draw := func(stream string, wanted bool) *Node {
		if key == nil || !wanted {
			return nil
		}
		return Reshape(layers.Uniform(scope, stream, key, rows, x.Shape().Dim(1), r.Experts), groups, tokens, r.Experts)
	}
	lots := Lots{Priority: draw("selection", r.RandomSelection), Second: draw("second", r.RandomSecond && r.Choices > 1)}
	if mask != nil {
		mask = Reshape(mask, groups, tokens)
	}
	routing := Route(Reshape(logits, groups, tokens, r.Experts), mask, lots, r.Choices, r.Capacity(tokens, key != nil))
	if r.Whole && r.Choices == 1 {
		routing.Combine = routing.Dispatch // the gate learns by the losses alone
	}
	return routing
}

// check panics on what no router can be.
func (r Router) check() {
	if r.Choices < 1 || r.Choices > 2 || r.Experts < r.Choices {
		exceptions.Panicf("moe: each token chooses 1 or 2 experts of at least as many, not %d of %d", r.Choices, r.Experts)
	}
	if !(r.TrainingCapacity >= 0 && r.EvaluationCapacity >= 0 && r.MinCapacity >= 0 && r.GroupRows >= 0 && r.EvaluationRows >= 0) {
		exceptions.Panicf("moe: capacities and rows are 0 or more, not %g in training, %g in evaluation, %d at least, %d and %d rows",
			r.TrainingCapacity, r.EvaluationCapacity, r.MinCapacity, r.GroupRows, r.EvaluationRows)
	}
	if !(r.Jitter >= 0 && r.Jitter < 1) {
		exceptions.Panicf("moe: the jitter is at least 0 and below 1, not %g", r.Jitter)
	}
}
