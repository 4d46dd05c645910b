// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Tally holds what one or several passes counted, as sums, so that windows of steps and whole held-out sets add up
// exactly. Its fields are in the order of [Output.Tally].
type Tally struct {
	Batches float64 // passes; the losses below are sums over passes

	Loss, GeneratorLoss, RTDLoss, CLMLoss float64

	Tokens           float64 // real tokens
	Masked           float64 // mask slots in use
	Replaced         float64 // tokens that differ from the original
	GeneratorCorrect float64 // slots where the generator's most likely token is the original
	GeneratorEntropy float64 // nats, summed over slots
	TruePositives    float64 // replaced, logit > 0
	FalsePositives   float64 // original, logit > 0
	CLMReplaced      float64 // replaced slots where CLM's most likely token is the original
	CLMUnchanged     float64 // the same at slots whose sample was the original
}

// TallySize is the number of fields of [Tally].
const TallySize = 14

// Tally builds the vector, [14], that [ReadTally] reads.
func (o Output) Tally(batch Batch) *Node {
	dtype := o.Loss.DType()
	number := func(x *Node) *Node { return ConvertDType(x, dtype) }
	count := func(x *Node) *Node { return ReduceAllSum(number(x)) }

	originals := gatherTokens(batch.Tokens, batch.Positions)
	inUse := number(GreaterThan(batch.Weights, ZerosLike(batch.Weights)))
	generatorRight := Mul(inUse, number(Equal(ArgMax(o.GeneratorLogits, -1, dtypes.Int32), originals)))
	logProbs := LogSoftmax(o.GeneratorLogits)
	entropy := Neg(ReduceSum(Mul(Exp(logProbs), logProbs), -1))

	flagged := And(o.NonPad, GreaterThan(o.RTDLogits, ZerosLike(o.RTDLogits)))
	clmRight := Mul(inUse, number(Equal(ArgMax(o.CLMLogits, -1, dtypes.Int32), originals)))
	sampledRight := number(Equal(o.Samples, originals))

	fields := []*Node{
		OnesLike(o.Loss), o.Loss, o.GeneratorLoss, o.RTDLoss, o.CLMLoss,
		count(o.NonPad), ReduceAllSum(inUse), count(o.Replaced),
		ReduceAllSum(generatorRight), ReduceAllSum(Mul(inUse, entropy)),
		count(And(flagged, o.Replaced)), count(And(flagged, Not(o.Replaced))),
		ReduceAllSum(Mul(clmRight, OneMinus(sampledRight))), ReduceAllSum(Mul(clmRight, sampledRight)),
	}
	return Stack(fields, 0)
}

// ReadTally turns the vector of [Output.Tally] into a Tally.
func ReadTally[F float32 | float64](v []F) Tally {
	f := func(i int) float64 { return float64(v[i]) }
	return Tally{
		f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13),
	}
}

// Add returns the sum of both.
func (t Tally) Add(u Tally) Tally {
	return Tally{
		t.Batches + u.Batches, t.Loss + u.Loss, t.GeneratorLoss + u.GeneratorLoss, t.RTDLoss + u.RTDLoss,
		t.CLMLoss + u.CLMLoss, t.Tokens + u.Tokens, t.Masked + u.Masked, t.Replaced + u.Replaced,
		t.GeneratorCorrect + u.GeneratorCorrect, t.GeneratorEntropy + u.GeneratorEntropy,
		t.TruePositives + u.TruePositives, t.FalsePositives + u.FalsePositives,
		t.CLMReplaced + u.CLMReplaced, t.CLMUnchanged + u.CLMUnchanged,
	}
}

// Metrics turns the sums into the numbers that are written down, by name. A rate over nothing is NaN.
func (t Tally) Metrics() map[string]float64 {
	ratio := func(a, b float64) float64 {
		if b == 0 {
			return math.NaN()
		}
		return a / b
	}
	original := t.Tokens - t.Replaced
	return map[string]float64{
		"loss":                   ratio(t.Loss, t.Batches),
		"generator_loss":         ratio(t.GeneratorLoss, t.Batches),
		"rtd_loss":               ratio(t.RTDLoss, t.Batches),
		"clm_loss":               ratio(t.CLMLoss, t.Batches),
		"replaced_fraction":      ratio(t.Replaced, t.Tokens),
		"generator_accuracy":     ratio(t.GeneratorCorrect, t.Masked),
		"generator_entropy":      ratio(t.GeneratorEntropy, t.Masked),
		"rtd_precision":          ratio(t.TruePositives, t.TruePositives+t.FalsePositives),
		"rtd_recall_replaced":    ratio(t.TruePositives, t.Replaced),
		"rtd_recall_original":    ratio(original-t.FalsePositives, original),
		"clm_accuracy_replaced":  ratio(t.CLMReplaced, t.Replaced),
		"clm_accuracy_unchanged": ratio(t.CLMUnchanged, t.Masked-t.Replaced),
	}
}
