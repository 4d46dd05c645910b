// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// MetricFunc builds a number to be recorded, as the ratio of two sums (scalars): so that windows of steps and whole
// held-out sets add up exactly. A mean over tokens is a sum over tokens and their count; a mean over batches has 1
// below.
type MetricFunc func(p *Pass) (sum, count *Node)

// MetricEntry is a registered metric: what config field evaluation.metrics can name.
type MetricEntry struct {
	Part
	Build MetricFunc

	// Generator says that it measures the generator, so that no config without one can ask for it.
	Generator bool
}

var metrics = newRegistry("metric", MetricEntry{Part{Name: "tie_cosine", Version: 1}, tieCosine, true})

// RegisterMetric makes a metric of one's own available to evaluation.metrics. It is computed from the pass of the
// training step (name) and of the validation (val_name), and has its options as evaluation.options.NAME.OPTION. See
// [RegisterObjective] for name and version.
func RegisterMetric(name string, version int, build MetricFunc, options ...Option) {
	metrics.add(MetricEntry{Part: Part{Name: name, Version: version, Options: options}, Build: build})
}

// tieCosine is the mean over the vocabulary of the cosine between a token's embedding in the generator and in the main
// model: 1 where they share the table, and what is left of that under "gdes" and "none". It is NaN where the objective
// does not run the generator, whose tables it would make.
func tieCosine(p *Pass) (sum, count *Node) {
	if p.Built("GeneratorLogits") == nil && p.Built("SamplingLogits") == nil {
		return ZerosLike(p.Loss), ZerosLike(p.Loss)
	}
	a := p.Model.generatorTables(p.scope, p.Batch.Tokens).output(p.scope)
	b := p.Model.mainTables(p.scope, p.Batch.Tokens).output(p.scope)
	cosines := ReduceSum(Mul(normalized(a), normalized(b)), -1) // [V]
	return ReduceAllSum(cosines), Scalar(a.Graph(), a.DType(), p.Model.Vocab)
}

func (e Evaluation) metrics() []string {
	return strings.FieldsFunc(e.Metrics, func(r rune) bool { return r == ',' || r == ' ' })
}

// measure is a metric in the making.
type measure struct {
	name       string
	sum, count *Node
}

// measures lists what the pass can say of the parts that it has built.
func (p *Pass) measures() []measure {
	one := OnesLike(p.Loss)
	list := []measure{{"loss", p.Loss, one}}
	for _, term := range p.Terms {
		list = append(list, measure{term.Name + "_loss", term.Loss, one})
	}
	if p.Built("Replaced") != nil {
		list = append(list, measure{"replaced_fraction", p.count(p.Replaced()), p.count(p.NonPad)})
	}
	if p.Built("GeneratorLogits") != nil {
		list = append(list, p.generatorMeasures()...)
	}
	if p.Built("RTDLogits") != nil {
		list = append(list, p.rtdMeasures("", p.RTDLogits(), p.Replaced())...)
	}
	for _, head := range []struct{ part, name string }{{"CLMLogits", "clm"}, {"LMLogits", "lm"}} {
		if logits := p.Built(head.part); logits != nil {
			list = append(list, p.correctiveMeasures(head.name, logits)...)
		}
	}
	if p.Built("secondStates") != nil {
		list = append(list, p.secondMeasures()...)
	}
	list = append(list, p.expertsMeasures()...)
	for _, name := range p.Model.Config.Evaluation.metrics() {
		sum, count := metrics.get(name).Build(p)
		list = append(list, measure{name, sum, count})
	}
	return list
}

func (p *Pass) generatorMeasures() []measure {
	logits := p.GeneratorLogits()
	inUse := p.number(p.slotsInUse())
	right := Mul(inUse, p.isMostLikely(logits))
	logProbs := LogSoftmax(logits)
	entropy := Neg(ReduceSum(Mul(Exp(logProbs), logProbs), -1)) // nats
	return []measure{
		{"generator_accuracy", ReduceAllSum(right), ReduceAllSum(inUse)},
		{"generator_entropy", ReduceAllSum(Mul(inUse, entropy)), ReduceAllSum(inUse)},
	}
}

// rtdMeasures is what logits, [B, S], say of labels, [B, S] bool; prefix begins the names.
func (p *Pass) rtdMeasures(prefix string, logits, labels *Node) []measure {
	replaced, original := And(p.NonPad, labels), And(p.NonPad, Not(labels))
	flagged := GreaterThan(logits, ZerosLike(logits))
	truePositives, falsePositives := p.count(And(flagged, replaced)), p.count(And(flagged, original))
	return []measure{
		{prefix + "rtd_precision", truePositives, Add(truePositives, falsePositives)},
		{prefix + "rtd_recall_replaced", truePositives, p.count(replaced)},
		{prefix + "rtd_recall_original", Sub(p.count(original), falsePositives), p.count(original)},
	}
}

// correctiveMeasures is the accuracy of the main model's logits, [B, P, V], at the masked positions: where the token
// was replaced and where it was not, or at all if nothing was.
func (p *Pass) correctiveMeasures(name string, logits *Node) []measure {
	inUse := p.number(p.slotsInUse())
	right := Mul(inUse, p.isMostLikely(logits))
	if p.Built("Corrupted") == nil {
		return []measure{{name + "_accuracy", ReduceAllSum(right), ReduceAllSum(inUse)}}
	}
	unchanged := p.number(Not(p.AtPositions(p.Replaced()))) // not the slot's sample: another slot may have written there
	replaced := OneMinus(unchanged)
	share := func(where *Node) (sum, count *Node) {
		return ReduceAllSum(Mul(right, where)), ReduceAllSum(Mul(inUse, where))
	}
	a, b := share(replaced)
	c, d := share(unchanged)
	return []measure{{name + "_accuracy_replaced", a, b}, {name + "_accuracy_unchanged", c, d}}
}

// isMostLikely is 1 where the arg max of logits, [B, P, V], is the original token: [B, P].
func (p *Pass) isMostLikely(logits *Node) *Node {
	return p.number(Equal(ArgMax(logits, -1, dtypes.Int32), p.Originals()))
}

func (p *Pass) number(x *Node) *Node { return ConvertDType(x, p.Loss.DType()) }

func (p *Pass) count(x *Node) *Node { return ReduceAllSum(p.number(x)) }
