// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// objectiveMIST is [rtdCLM] with a second pass over the model's own correction, after MIST (mix source and pseudo target), which
// does so for generation: what the first pass says of the masked positions, y¹ = arg max of its corrective logits, without
// gradient, goes into what a second pass through the same weights reads, and the loss is L¹ + β·L². Sources: that, β = 1, shared
// weights and that the first pass is what is scored, are MIST's code, as noted by others. All else here is ours: that y¹ stands at
// the masked positions alone, since there are no corrective logits elsewhere, and the row's own tokens between; what overwrite and
// target_only are; and that L² is the main model's terms once more, with their weights.
//
// The second pass is built in training and where losses are measured, and nowhere else: a detector is the first pass under every
// form, and costs what it costs without.
const objectiveMIST = "rtd_clm_mist"

// Values of the option form: what the second pass reads, x̃ being the corrupted row. All have S labels a row, those of what is read.
const (
	formOverwrite  = "overwrite"   // x̃, with y¹ at the masked positions where σ(z) is above the threshold
	formTargetOnly = "target_only" // x̃, with y¹ at all masked positions
	formMix        = "mix"         // [CLS] y¹ [SEP] x̃, 2S long; heads read the half of x̃, whose labels are those of the first pass
)

// Values of the option targets: what stands for y¹. The last two are controls.
const (
	targetsOwn      = "own"      // the row's own
	targetsShuffled = "shuffled" // another row's, slot by slot; see [fromOtherRows]
	targetsOracle   = "oracle"   // what stood there, written wherever it is not what stands there now
)

// mistWeight and mistThreshold are the paths of the options that enter the graph as inputs.
const (
	mistWeight    = "objective.options.weight"
	mistThreshold = "objective.options.threshold"
)

var mistPart = Part{Name: objectiveMIST, Version: 1, Options: []Option{
	{Name: "form", Neutral: formOverwrite, Choices: []string{formMix, formOverwrite, formTargetOnly}, Help: "what the second pass reads"},
	{Name: "weight", Neutral: 1.0, Class: ClassInput, Low: 0, High: 1e6, Help: "of the second pass's losses, β; beside the weights of each"},
	{Name: "threshold", Neutral: 0.5, Class: ClassInput, Low: 0, High: 1, Help: "probability of being replaced above which a token is overwritten; of form=overwrite"},
	{Name: "targets", Neutral: targetsOwn, Choices: []string{targetsOwn, targetsShuffled, targetsOracle}, Help: "what is written: the row's own corrections, or those of another row or the original as controls"},
}}

// secondPass returns the form of the second pass and what it is given; false if the objective has none.
func (c Config) secondPass() (form, targets string, ok bool) {
	if c.Objective.Name != objectiveMIST {
		return "", "", false
	}
	option := mistPart.reads(c.Objective.Options)
	return option("form").(string), option("targets").(string), true
}

// rtdCLMMIST is the terms of [rtdCLM] and, weighted by β, the main model's once more in the second pass. At β = 0 it is rtdCLM, to
// the bit where sums have one order: what the second pass adds to a sum is 0, and comes before all of the first pass.
func rtdCLMMIST(p *Pass) []Term {
	terms := rtdCLM(p)
	weight := func(of *Node) *Node { return Mul(p.Input(mistWeight), of) }
	form := p.Model.Config.Objective.CLM
	var rtdLogits *Node
	if form != CLMWithoutCopy {
		rtd := p.Mean(RTDLosses(p.secondRTDLogits(), p.secondReplaced()), p.NonPad)
		terms = append(terms, Term{"second_rtd", rtd, weight(p.Scalars.RTDWeight)})
		rtdLogits = p.AtPositions(p.secondRTDLogits())
	}
	losses := correctiveLosses(form, p.secondCLMLogits(), p.Originals(), p.AtPositions(p.secondInput()), rtdLogits)
	return append(terms, Term{"second_clm", p.Mean(losses, p.Batch.Weights), weight(p.Scalars.CLMWeight)})
}

// pseudoTargets are y¹, [B, P] int32, at the slots of the masked positions.
func (p *Pass) pseudoTargets() *Node {
	return p.once("pseudoTargets", func() *Node {
		switch _, targets, _ := p.Model.Config.secondPass(); targets {
		case targetsOracle:
			return p.Originals()
		case targetsShuffled:
			return fromOtherRows(p.guesses())
		default:
			return p.guesses()
		}
	})
}

// guesses are the corrective model's first choices at the masked positions, [B, P] int32. Whole numbers have no gradient.
func (p *Pass) guesses() *Node { return ArgMax(StopGradient(p.CLMLogits()), -1, dtypes.Int32) }

// fromOtherRows gives the rows of x, [B, P], each another's, by changing the places of every two. So a step in parts of even
// numbers of rows is that of the whole batch. A last row that has no other beside it, which only happens where held-out rows are
// measured, gets its own of the next slot.
func fromOtherRows(x *Node) *Node {
	rows, slots := x.Shape().Dim(0), x.Shape().Dim(1)
	paired := rows / 2 * 2
	var parts []*Node
	if paired > 0 {
		twos := Reshape(Slice(x, AxisRange(0, paired)), rows/2, 2, slots)
		parts = append(parts, Reshape(Reverse(twos, 1), paired, slots))
	}
	if paired < rows {
		last := Slice(x, AxisRange(paired))
		parts = append(parts, Concatenate([]*Node{Slice(last, AxisRange(), AxisRange(1)), Slice(last, AxisRange(), AxisRange(0, 1))}, 1))
	}
	return Concatenate(parts, 0)
}

// corrected is the corrupted row with y¹ written in at the slots where weights, [B, P], are above 0: [B, S] int32.
func (p *Pass) corrected(weights *Node) *Node {
	if p.Model.Config.Masking.WithReplacement {
		weights = FirstSlots(p.Batch.Positions, weights)
	}
	row, _ := Corrupt(p.Corrupted(), p.Batch.Positions, p.pseudoTargets(), weights)
	return row
}

// secondInput is what the second pass's labels and heads are about, [B, S] int32: what it reads or, under mix, the half of it that
// is the corrupted row.
func (p *Pass) secondInput() *Node {
	return p.once("secondInput", func() *Node {
		form, targets, _ := p.Model.Config.secondPass()
		switch {
		case form == formMix:
			return p.Corrupted()
		case form == formOverwrite && targets != targetsOracle:
			return p.corrected(Mul(p.Batch.Weights, ConvertDType(p.flagged(), p.Batch.Weights.DType())))
		}
		return p.corrected(p.Batch.Weights)
	})
}

// flagged is true at the slots of the masked positions, [B, P] bool, where σ(z) is above the threshold θ: where z is above
// log θ − log(1−θ), which is 0 at ½ and infinite at 0 and 1 on every backend, however it rounds.
func (p *Pass) flagged() *Node {
	z, threshold := StopGradient(p.AtPositions(p.RTDLogits())), p.Input(mistThreshold)
	least := Sub(Log(threshold), Log(OneMinus(threshold)))
	return GreaterThan(z, BroadcastToShape(ConvertDType(least, z.DType()), z.Shape()))
}

// secondReplaced are the labels of RTD in the second pass, [B, S] bool: true where what it reads there differs from the original.
func (p *Pass) secondReplaced() *Node {
	return p.once("secondReplaced", func() *Node { return NotEqual(p.secondInput(), p.Batch.Tokens) })
}

// secondStates are the main model's states in the second pass, [B, S, H]: under mix those of the half that is the corrupted row. It
// drops by masks of its own. Gates of experts are kept in order by the first pass alone, so that β weighs all of the second.
func (p *Pass) secondStates() *Node {
	return p.once("secondStates", func() *Node {
		m, key := p.Model, p.dropoutKey("second")
		m.routed = nil
		if form, _, _ := m.Config.secondPass(); form != formMix {
			return last(m.MainLayers(p.scope, p.secondInput(), p.visible(), p.Scalars.BiasScale, key))
		}
		rows, s := p.mixedRows(), p.Batch.Tokens.Shape().Dim(1)
		ofCorrupted := GreaterOrEqual(Iota(rows.Graph(), rows.Shape(), 1), Scalar(rows.Graph(), dtypes.Int32, s))
		m.Config.Data.SeqLen = 2 * s
		states := m.PairStates(p.scope, rows, twice(p.visible()), ofCorrupted, p.Scalars.BiasScale, key)
		return Slice(states, AxisRange(), AxisRange(s))
	})
}

// mixedRows are [CLS] y¹ [SEP] x̃, [B, 2S] int32, y¹ being the corrected row without its [CLS] and x̃ the corrupted one without.
func (p *Pass) mixedRows() *Node {
	return p.once("mixedRows", func() *Node {
		x := p.Corrupted()
		sep := BroadcastToShape(Scalar(x.Graph(), dtypes.Int32, p.Model.SepID), shapes.Make(dtypes.Int32, x.Shape().Dim(0), 1))
		return Concatenate([]*Node{p.corrected(p.Batch.Weights), sep, Slice(x, AxisRange(), AxisRange(1))}, 1)
	})
}

// twice is what each position of a row that stands there twice may read, of what [Model.Visible] returns for the row: what it may
// read of the row, in both of it.
func twice(visible *Node) *Node {
	for axis := 1; axis < visible.Rank(); axis++ {
		visible = Concatenate([]*Node{visible, visible}, axis)
	}
	return visible
}

// secondRTDLogits are one logit a token in the second pass, [B, S].
func (p *Pass) secondRTDLogits() *Node {
	return p.once("secondRTDLogits", func() *Node { return p.Model.RTDHead(p.scope, p.secondStates()) })
}

// secondCLMLogits are the corrective logits of the second pass at the masked positions, [B, P, V].
func (p *Pass) secondCLMLogits() *Node {
	return p.once("secondCLMLogits", func() *Node { return p.Model.CLMHead(p.scope, p.AtPositions(p.secondStates())) })
}

// secondMeasures are what there is to watch of the second pass: how good its targets are, what it still sees replaced, and what it
// makes of that. Positions are replaced or unchanged for corrections as in the first pass, and for RTD as in what it reads.
func (p *Pass) secondMeasures() []measure {
	replaced := Mul(p.number(p.slotsInUse()), p.number(p.AtPositions(p.Replaced())))
	right := Mul(replaced, p.number(Equal(p.pseudoTargets(), p.Originals())))
	list := []measure{
		{"corrected_accuracy", ReduceAllSum(right), ReduceAllSum(replaced)},
		{"second_replaced_fraction", p.count(And(p.NonPad, p.secondReplaced())), p.count(p.NonPad)},
	}
	if p.Built("secondRTDLogits") != nil {
		list = append(list, p.rtdMeasures("second_", p.secondRTDLogits(), p.secondReplaced())...)
	}
	return append(list, p.correctiveMeasures("second_clm", p.secondCLMLogits())...)
}

// MainRuns lists the runs through the main model of a training step, by the length of the rows that each reads.
func (c Config) MainRuns() []int {
	runs := []int{c.Data.SeqLen}
	if c.Task.Name != "" {
		return runs
	}
	if heads := c.objective().Heads; heads != nil && slices.Contains(heads(c), HeadSCL) {
		runs = append(runs, c.Data.SeqLen)
	}
	switch form, _, ok := c.secondPass(); {
	case ok && form == formMix:
		runs = append(runs, 2*c.Data.SeqLen)
	case ok:
		runs = append(runs, c.Data.SeqLen)
	}
	return runs
}

// HeadRuns is how many of [Config.MainRuns] the heads of RTD and CLM read: not the one that sequence contrast alone looks at.
func (c Config) HeadRuns() int {
	if _, _, ok := c.secondPass(); ok && c.Task.Name == "" {
		return 2
	}
	return 1
}

// second checks what a second pass must go together with.
func (v *validation) second(c Config) {
	form, targets, ok := c.secondPass()
	if !ok {
		return
	}
	if s := c.Data.SeqLen; form == formMix && c.Positions.Absolute && c.PositionRows() < 2*s {
		v.bad("objective.options.form=%s reads two rows of data.seq_len=%d after one another, and the position table has %d rows; set positions.rows=%d or more",
			formMix, s, c.PositionRows(), 2*s)
	}
	if form == formOverwrite && c.Objective.CLM == CLMWithoutCopy {
		v.bad("objective.options.form=%s writes where RTD says replaced, and objective.clm=%s trains no RTD; set objective.options.form to %s or %s",
			formOverwrite, CLMWithoutCopy, formTargetOnly, formMix)
	}
	if parts := max(1, c.Training.Accumulate); targets == targetsShuffled && c.Training.BatchSize/parts%2 != 0 {
		v.bad("objective.options.targets=%s changes the places of every two rows, and %d are computed at once (training.batch_size=%d in training.accumulate=%d parts); make that an even number",
			targetsShuffled, c.Training.BatchSize/parts, c.Training.BatchSize, parts)
	}
}

// overwritesAll reports whether the second pass asks nobody where to write.
func (c Config) overwritesAll() bool {
	form, targets, ok := c.secondPass()
	return ok && (form != formOverwrite || targets == targetsOracle)
}
