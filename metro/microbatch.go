// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// MicroBatch says that a batch is one of several parts of a step's rows, which are computed one after the other to save memory
// (config field training.accumulate). The step's gradient is the mean of the parts', and so are its losses. That is right for
// a mean over rows; every other loss needs to know something of the other parts: how many tokens count in them, or the rows'
// own vectors. It asks for that by [Pass.Gather] or [Pass.Mean]. A step is then computed twice: a first pass over all parts
// finds out what is asked for, a second one, in which it is given, has the gradient.
type MicroBatch struct {
	Count  int     // parts of the step
	Index  *Node   // int32 scalar: which of them this is, 0 … Count−1
	Others []*Node // what Gather was asked for, of all parts, [Count, …], in the order of its calls; nil in the first pass

	asked []*Node
}

// Asked lists what [Pass.Gather] was asked for, of this part alone, in the order of its calls.
func (m *MicroBatch) Asked() []*Node { return m.asked }

// Gather returns the rows of x, [b, …], of all parts of the step in order, [B, …], where the batch is a part; else x itself.
// With it a loss can be anything of the whole batch, such as a contrast of each row with all others. What follows from it has
// the value that it has without parts, and the gradient, taken over the parts' mean. x must not depend on what another Gather
// has returned, which the first pass does not know yet.
func (p *Pass) Gather(x *Node) *Node {
	part := p.Batch.Micro
	if part == nil {
		return x
	}
	i := len(part.asked)
	part.asked = append(part.asked, StopGradient(x))
	// The parts' mean has one Count-th of the gradient that passes through this part's rows.
	here := StopGradient(x)
	own := BroadcastPrefix(Add(here, MulScalar(Sub(x, here), float64(part.Count))), part.Count)
	all := own
	if part.Others != nil {
		others := part.Others[i]
		number := Iota(x.Graph(), shapes.Make(dtypes.Int32, others.Shape().Dimensions...), 0)
		all = Where(Equal(number, part.Index), own, others)
	}
	dims := x.Shape().Clone().Dimensions
	dims[0] *= part.Count
	return Reshape(all, dims...)
}

// Mean is the weighted mean of x, Σ w·x / Σ w, over the whole step; 0 where all weights are 0. Where the batch is a part of a
// step, the sum of weights is that of all parts, and the parts' mean of it is the step's mean. x and weights have the same
// shape; weights may be booleans, and have no gradient. What is not linear in it needs [Pass.Gather].
func (p *Pass) Mean(x, weights *Node) *Node {
	weights = StopGradient(ConvertDType(weights, x.DType()))
	if p.Batch.Micro == nil {
		return weightedMean(x, weights)
	}
	sum := ReduceAllSum(p.Gather(Reshape(ReduceAllSum(weights), 1)))
	return MulScalar(Div(ReduceAllSum(Mul(x, weights)), MaxScalar(sum, 1e-9)), float64(p.Batch.Micro.Count))
}
