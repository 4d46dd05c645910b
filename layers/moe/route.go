// SPDX-License-Identifier: Apache-2.0

package moe

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Routing is which token goes where, and how well the experts share the work. All of it is in the dtype of the gate's logits; real
// tokens are those that are no padding. Both losses are means over groups of what they are in each.
type Routing struct {
	Dispatch *Node // [G, T, E, C]: 1 where a token has a slot, else 0; constant in the eyes of gradients
	Combine  *Node // [G, T, E, C]: the weight of what comes back from there

	// Balance is the load-balancing loss E·Σ m_e·c_e: m_e is the mean probability of expert e and c_e the share of tokens that
	// chose it first, before any was dropped, over real tokens. It is 1 if either is even. GShard's, Switch's.
	Balance *Node
	// ZLoss is the mean of (log Σ exp logits)² over real tokens, which keeps logits small. ST-MoE's (Zoph et al., 2022).
	ZLoss *Node

	Choices     *Node // of all real tokens, their number
	Dropped     *Node // share of them that found no slot
	Load        *Node // [E]: the experts' shares of all choices, before any was dropped
	LoadEntropy *Node // of the experts' shares of all choices, before any was dropped, divided by ln E: 1 = even
	LargestLoad *Node // largest of these shares; 1/E = even

	// Divergence is how far experts have come apart, set by [FeedForward.Apply]: the root of the mean of ‖W_a − W_b‖² over pairs, in
	// parts of that of ‖W_a‖², both matrices of an expert taken as one. It is 0 for copies, about √2 for what has nothing in common.
	Divergence *Node
}

// Lots are what is random in a routing. What is nil is not.
type Lots struct {
	// Priority, [G, T, E] float32 in [0, 1), decides who has a slot where more want one than there are: the larger number, in place of
	// who comes first. This is random token selection, without which the end of a batch is what is dropped.
	Priority *Node
	// Second, [G, T, E] float32 in [0, 1), draws second choices by their probabilities, in place of the largest: noise
	// −log(−log u) is added to the logits when the second expert is chosen (Gumbel), and to nothing else. DeepSpeed's.
	Second *Node
}

// Route sends T tokens of each of G groups to experts by the logits of a gate, [G, T, E]; mask, [G, T] bool, is true at real tokens
// (nil: at all). With p = softmax(logits) a token chooses the expert of the largest p and, if choices is 2, that of the next one;
// the first of equals. Every expert has capacity slots for each group. First choices go before second ones, and else who comes
// first, unless lots say otherwise. Padding takes no slot (it does in DeepSpeed).
//
// The weight of a slot is p for one choice, and for two p divided by its sum over the slots that the token got, which is 1 for a
// token that kept one of them. Where that sum is below 2⁻²³ it is divided by that instead, as in DeepSpeed, so that no gradient
// overflows.
//
// It panics if shapes do not fit, if there are more choices than experts, or without capacity.
func Route(logits, mask *Node, lots Lots, choices, capacity int) Routing {
	checkRoute(logits, mask, lots, choices, capacity)
	g, dtype := logits.Graph(), logits.DType()
	groups, tokens, experts := logits.Shape().Dim(0), logits.Shape().Dim(1), logits.Shape().Dim(2)
	isReal := Ones(g, shapes.Make(dtype, groups, tokens, 1))
	if mask != nil {
		isReal = ExpandAxes(ConvertDType(mask, dtype), -1)
	}
	count := atLeastOne(ReduceSum(isReal, 1)) // [G, 1]
	p := Softmax(logits, -1)

	chosen := choose(logits, isReal, lots.Second, choices)
	load := total(chosen)
	var kept *Node // [G, T, E]
	if lots.Priority == nil {
		kept = firstCome(chosen, capacity)
	} else {
		kept = byPriority(chosen, lots.Priority, capacity)
	}
	slot := ConvertDType(AddScalar(CumSum(kept, 1), -1), dtypes.Int32)
	dispatch := StopGradient(Mul(ExpandAxes(kept, -1), OneHot(slot, capacity, dtype)))

	weight := Mul(p, StopGradient(kept))
	if choices > 1 {
		weight = Div(weight, MaxScalar(ReduceAndKeep(weight, ReduceSum, -1), math.Exp2(-23)))
	}

	mean := Div(ReduceSum(Mul(p, isReal), 1), count) // [G, E]
	first := StopGradient(Div(ReduceSum(chosen[0], 1), count))
	largest := StopGradient(ReduceAndKeep(logits, ReduceMax, -1))
	logSum := Add(Log(ReduceAndKeep(Exp(Sub(logits, largest)), ReduceSum, -1)), largest) // [G, T, 1]
	routing := Routing{
		Dispatch: dispatch,
		Combine:  Mul(dispatch, ExpandAxes(weight, -1)),
		Balance:  MulScalar(ReduceAllSum(Mul(mean, first)), float64(experts)/float64(groups)),
		ZLoss:    ReduceAllMean(Div(ReduceSum(Mul(Square(logSum), isReal), 1), count)),
	}
	asked := ReduceAllSum(load)
	routing.Choices = asked
	routing.Dropped = Div(Sub(asked, ReduceAllSum(kept)), atLeastOne(asked))
	share := Div(ReduceSum(load, 0, 1), atLeastOne(asked)) // [E]
	routing.Load, routing.LargestLoad = share, ReduceAllMax(share)
	routing.LoadEntropy = OnesLike(asked)
	if experts > 1 {
		isEmpty := Equal(share, ZerosLike(share))
		terms := Mul(share, Log(Where(isEmpty, OnesLike(share), share)))
		routing.LoadEntropy = MulScalar(ReduceAllSum(terms), -1/math.Log(float64(experts)))
	}
	return routing
}

func checkRoute(logits, mask *Node, lots Lots, choices, capacity int) {
	shape := logits.Shape()
	if shape.Rank() != 3 || choices < 1 || choices > 2 || choices > shape.Dim(-1) {
		exceptions.Panicf("moe: 1 or 2 choices need logits [groups, tokens, experts] of at least as many experts, got %d and %s",
			choices, shape)
	}
	if mask != nil && (mask.DType() != dtypes.Bool || !slices.Equal(mask.Shape().Dimensions, shape.Dimensions[:2])) {
		exceptions.Panicf("moe: the mask of logits %s is bool %d, not %s", shape, shape.Dimensions[:2], mask.Shape())
	}
	for _, u := range []*Node{lots.Priority, lots.Second} {
		if u != nil && (u.DType() != dtypes.Float32 || !u.Shape().EqualDimensions(shape)) {
			exceptions.Panicf("moe: lots have a float32 for each of the logits %s, not %s", shape, u.Shape())
		}
	}
	if capacity < 1 || capacity > shape.Dim(1) {
		exceptions.Panicf("moe: an expert has 1 to %d slots for as many tokens, not %d", shape.Dim(1), capacity)
	}
}

// choose marks, [G, T, E], the experts that real tokens choose, first choices first. Numbers u of [0, 1), if there are any, draw
// the second.
func choose(logits, isReal, u *Node, choices int) []*Node {
	logits = StopGradient(logits)
	best := func(logits *Node) *Node { return OneHot(ArgMax(logits, -1), logits.Shape().Dim(-1), logits.DType()) }
	first := best(logits)
	chosen := []*Node{Mul(first, isReal)}
	if choices == 1 {
		return chosen
	}
	if u != nil {
		u = ConvertDType(MaxScalar(u, math.Exp2(-25)), logits.DType()) // a logarithm of 0 would be infinite
		logits = Sub(logits, Log(Neg(Log(u))))
	}
	others := Where(Equal(first, ZerosLike(first)), logits, Infinity(logits.Graph(), logits.DType(), -1))
	return append(chosen, Mul(best(others), isReal))
}

// firstCome marks who of chosen has a slot if tokens come one after another, all first choices before the second ones.
func firstCome(chosen []*Node, capacity int) *Node {
	kept, taken := ZerosLike(chosen[0]), ScalarZero(chosen[0].Graph(), chosen[0].DType())
	for _, one := range chosen {
		kept = Add(kept, among(one, Add(CumSum(one, 1), taken), capacity))
		taken = Add(taken, ReduceAndKeep(one, ReduceSum, 1))
	}
	return kept
}

// byPriority marks who of chosen has a slot if the larger priority decides, and between equals who comes first.
func byPriority(chosen []*Node, priority *Node, capacity int) *Node {
	// Numbers of 24 bits stay exact one lower, where those of second choices go.
	urgency := AddScalar(ZerosLike(priority), -float64(len(chosen)))
	for i, one := range chosen {
		urgency = Where(Equal(one, ZerosLike(one)), urgency, AddScalar(priority, -float64(i)))
	}
	sorted := Sort(urgency, 1, false)
	last := Slice(sorted, AxisRange(), AxisRange(capacity-1, capacity)) // [G, 1, E]: the urgency of who comes in last
	all := total(chosen)
	above := Mul(all, ConvertDType(GreaterThan(urgency, last), all.DType()))
	tied := Mul(all, ConvertDType(Equal(urgency, last), all.DType()))
	taken := ReduceAndKeep(above, ReduceSum, 1)
	return Add(above, among(tied, Add(CumSum(tied, 1), taken), capacity))
}

// among is marks where place, counted from 1, is at most capacity, and 0 elsewhere.
func among(marks, place *Node, capacity int) *Node {
	return Mul(marks, ConvertDType(LessOrEqual(place, Scalar(place.Graph(), place.DType(), capacity)), marks.DType()))
}

func total(nodes []*Node) *Node {
	sum := nodes[0]
	for _, n := range nodes[1:] {
		sum = Add(sum, n)
	}
	return sum
}

func atLeastOne(x *Node) *Node { return MaxScalar(x, 1) }
