// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/tokens"
	"metrolab/metro/training"
)

// finetuning is the [training.Workload] of a task: a main model with the task's head.
type finetuning struct {
	model      metro.Model // its config is the run's
	pretrained training.Pretrained
	task       Task

	form         Form
	train, asked *Rows
	order        func(seed int64, k int) int
	baselines    func() Baselines
	scored       Scored          // of the last evaluation
	weights      metro.Inventory // that the model reads, as of then
}

func newFinetuning(p training.Pretrained, t Task, c metro.Config) *finetuning {
	f := &finetuning{model: p.Model, pretrained: p, task: t, form: t.Form(c.Data.SeqLen), baselines: baselinesOf(t)}
	f.model.Config = c
	f.train, f.asked = t.Encode(p.Tokenizer, c.Data.SeqLen)
	f.order = t.Order(f.train)
	return f
}

// known are the baselines of tasks by their hashes: a regression on words may take as long as a fine-tuning, and those at other
// seeds have the same.
var known sync.Map

// baselinesOf computes the baselines of a task when they are first asked for.
func baselinesOf(t Task) func() Baselines {
	b, _ := known.LoadOrStore(t.Hash(), sync.OnceValue(t.Baselines))
	return b.(func() Baselines)
}

// Model implements [training.Workload].
func (f *finetuning) Model() metro.Model { return f.model }

// Tokenizer implements [training.Workload].
func (f *finetuning) Tokenizer() tokens.Tokenizer { return f.pretrained.Tokenizer }

// GraphKey implements [training.Workload]. The scale of the relative bias is built in.
func (f *finetuning) GraphKey() string {
	m := f.model
	return fmt.Sprintf("task/%s/%s/%d/%d/%g/%s", f.task.GraphKey(), m.Config.GraphKey(), m.Vocab, m.PadID, m.Config.Positions.Scale, m.SpellingKey())
}

// Stream implements [training.Workload].
func (f *finetuning) Stream() string { return "finetune/" }

// partRows is the number of rows that one graph works on.
func (f *finetuning) partRows() int {
	return f.model.Config.Training.BatchSize / f.model.Config.Training.Accumulate
}

// Inputs implements [training.Workload]: tokens, [B, S] or [B, C, S], and targets, [B, …].
func (f *finetuning) Inputs() ([]shapes.Shape, int) {
	target := append([]int{f.partRows()}, f.form.Target.Dimensions...)
	return []shapes.Shape{
		shapes.Make(dtypes.Int32, f.form.tokens(f.partRows(), f.model.Config.Data.SeqLen)...), shapes.Make(f.form.Target.DType, target...),
	}, 0
}

// Forward implements [training.Workload]. The loss is a mean over rows, of which all parts have as many.
func (f *finetuning) Forward(scope *model.Scope, in []*Node, _, key *Node, _ *metro.MicroBatch) training.Output {
	tokens, targets := in[0], in[1]
	outputs := f.outputs(scope, tokens, key)
	loss := f.task.Loss(outputs, targets)
	one := OnesLike(loss)
	number := func(x *Node) *Node { return ConvertDType(x, loss.DType()) }
	fields := []*Node{number(ReduceAllSum(number(f.nonPad(tokens)))), loss, one}
	names := []string{"loss"}
	if right, of := f.task.Right(outputs, targets); right != nil {
		fields, names = append(fields, number(right), number(of)), append(names, "accuracy")
	}
	return training.Output{Loss: loss, Tally: Stack(fields, 0), Names: names}
}

// outputs are the task's head on the main model's states of tokens, [B, S] or [B, C, S].
func (f *finetuning) outputs(scope *model.Scope, tokens, key *Node) *Node {
	s := f.model.Config.Data.SeqLen
	tokens = Reshape(tokens, tokens.Shape().Size()/s, s)
	in := HeadInput{NonPad: f.nonPad(tokens), Key: key, Model: f.model}
	biasScale := Scalar(tokens.Graph(), dtypes.Float32, f.model.Config.Positions.Scale)
	if f.form.Pairs {
		in.Second = f.second(tokens, in.NonPad)
		in.States = f.model.PairStates(scope, tokens, in.NonPad, in.Second, biasScale, key)
	} else {
		in.States = f.model.MainStates(scope, tokens, in.NonPad, biasScale, key)
	}
	return f.task.Head(scope, in)
}

// second is where the second texts of pairs are, [B, S] bool: behind the first [SEP].
func (f *finetuning) second(tokens, nonPad *Node) *Node {
	sep := f.pretrained.Tokenizer.Special().SEP
	ends := ConvertDType(Equal(tokens, Scalar(tokens.Graph(), dtypes.Int32, sep)), dtypes.Int32)
	before := Sub(CumSum(ends, -1), ends)
	return LogicalAnd(GreaterThan(before, ZerosLike(before)), nonPad)
}

func (f *finetuning) nonPad(tokens *Node) *Node {
	return NotEqual(tokens, Scalar(tokens.Graph(), dtypes.Int32, f.model.PadID))
}

// batch is the host side of one step.
type batch struct {
	*finetuning
	rows []int // its examples
}

// Part implements [training.Batch].
func (b batch) Part(part int) []*tensors.Tensor {
	n := b.partRows()
	ids, targets := b.train.tensors(b.rows[part*n:(part+1)*n], b.form, b.model.Config.Data.SeqLen)
	return []*tensors.Tensor{ids, targets}
}

// Batch implements [training.Workload].
func (f *finetuning) Batch(step int) (training.Batch, error) {
	c := f.model.Config
	rows := make([]int, c.Training.BatchSize)
	for i := range rows {
		rows[i] = f.order(c.Seed, step*c.Training.BatchSize+i)
	}
	return batch{f, rows}, nil
}

// Scalars implements [training.Workload].
func (f *finetuning) Scalars(int) []float32 { return nil }

// Begin implements [training.Workload]: with the pretrained weights, unless it is the control.
func (f *finetuning) Begin(p *training.Program) error {
	if f.model.Config.Task.FromScratch {
		return nil
	}
	if reads, random := f.model.Config.ReadsGenerator(); reads && !random {
		if err := f.pretrained.RestoreGenerator(p.Store()); err != nil {
			return err
		}
	}
	return f.pretrained.Restore(p.Store())
}

// Before implements [training.Workload].
func (f *finetuning) Before(*training.Program, int) error { return nil }

// Measure implements [training.Workload].
func (f *finetuning) Measure(training.StepOutput, runs.Values) error { return nil }

// Evaluate implements [training.Workload]: on the test examples.
func (f *finetuning) Evaluate(p *training.Program) (runs.Values, error) {
	answers, err := f.answers(p, f.asked)
	if err != nil {
		return nil, err
	}
	f.scored, f.weights = f.task.Score(f.asked, answers), p.Weights()
	values, about, baselines := runs.Values{}, f.task.About(), f.baselines()
	for name, value := range f.scored.Model.values() {
		values["test_"+name] = value
	}
	if f.scored.Validation != nil && f.scored.Validation.Metrics != nil {
		for name, value := range f.scored.Validation.values() {
			values["dev_"+name] = value
		}
	}
	for name, scores := range map[string]Scores{"bag_of_words": baselines.BagOfWords, "tfidf": baselines.TFIDF, "majority": baselines.Majority} {
		if !scores.zero() {
			values["test_"+name+"_"+about.Metric] = scores.Value(about.Metric)
		}
	}
	return values, nil
}

// answers are those of the model to all rows.
func (f *finetuning) answers(p *training.Program, rows *Rows) (answers [][]float32, err error) {
	size := f.partRows()
	predict := func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{f.task.Answers(f.outputs(scope, in[0], nil))}
	}
	n := rows.examples(f.form.Texts)
	for first := 0; first < n; first += size {
		here := make([]int, size)
		for i := range here {
			if here[i] = first + i; here[i] >= n {
				here[i] = first // what is left of a batch repeats
			}
		}
		ids, _ := rows.tensors(here, f.form, f.model.Config.Data.SeqLen)
		out, err := p.Call("predict", predict, ids)
		if err != nil {
			return nil, err
		}
		values, err := tensors.CopyFlatData[float32](out[0])
		out[0].MustFinalizeAll()
		if err != nil {
			return nil, fmt.Errorf("read the answers: %w", err)
		}
		width := len(values) / size
		for i := range min(size, n-first) {
			answers = append(answers, values[i*width:(i+1)*width])
		}
	}
	return answers, nil
}

// Details implements [training.Workload]: a [Result].
func (f *finetuning) Details(t training.Trained) any { return f.describe(t) }
