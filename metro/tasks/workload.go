// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"

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

	train, asked *Rows
	order        func(seed int64, k int) int
	scored       Scored // of the last evaluation
}

func newFinetuning(p training.Pretrained, t Task, c metro.Config) *finetuning {
	f := &finetuning{model: p.Model, pretrained: p, task: t}
	f.model.Config = c
	f.train, f.asked = t.Encode(p.Tokenizer, c.Data.SeqLen)
	f.order = t.Order(f.train)
	return f
}

// Model implements [training.Workload].
func (f *finetuning) Model() metro.Model { return f.model }

// Tokenizer implements [training.Workload].
func (f *finetuning) Tokenizer() tokens.Tokenizer { return f.pretrained.Tokenizer }

// GraphKey implements [training.Workload]. The scale of the relative bias is built in.
func (f *finetuning) GraphKey() string {
	m := f.model
	return fmt.Sprintf("task/%s/%s/%d/%d/%g", f.task.GraphKey(), m.Config.GraphKey(), m.Vocab, m.PadID, m.Config.Positions.Scale)
}

// Stream implements [training.Workload].
func (f *finetuning) Stream() string { return "finetune/" }

// partRows is the number of rows that one graph works on.
func (f *finetuning) partRows() int {
	return f.model.Config.Training.BatchSize / f.model.Config.Training.Accumulate
}

// Inputs implements [training.Workload]: tokens [B, S] and targets [B].
func (f *finetuning) Inputs() ([]shapes.Shape, int) {
	return []shapes.Shape{
		shapes.Make(dtypes.Int32, f.partRows(), f.model.Config.Data.SeqLen), shapes.Make(dtypes.Int32, f.partRows()),
	}, 0
}

// Forward implements [training.Workload]. The loss is a mean over rows, of which all parts have as many.
func (f *finetuning) Forward(scope *model.Scope, in []*Node, _, key *Node, _ *metro.MicroBatch) training.Output {
	tokens, targets := in[0], in[1]
	outputs := f.outputs(scope, tokens, key)
	loss := f.task.Loss(outputs, targets)
	one := OnesLike(loss)
	number := func(x *Node) *Node { return ConvertDType(x, loss.DType()) }
	fields := []*Node{
		number(ReduceAllSum(number(f.nonPad(tokens)))), loss, one, number(f.task.Right(outputs, targets)), MulScalar(one, float64(targets.Shape().Size())),
	}
	return training.Output{Loss: loss, Tally: Stack(fields, 0), Names: []string{"loss", "accuracy"}}
}

// outputs are the task's head on the main model's states.
func (f *finetuning) outputs(scope *model.Scope, tokens, key *Node) *Node {
	nonPad := f.nonPad(tokens)
	biasScale := Scalar(tokens.Graph(), dtypes.Float32, f.model.Config.Positions.Scale)
	return f.task.Head(scope, f.model.MainStates(scope, tokens, nonPad, biasScale, key), nonPad)
}

func (f *finetuning) nonPad(tokens *Node) *Node {
	return NotEqual(tokens, Scalar(tokens.Graph(), dtypes.Int32, f.model.PadID))
}

// batch is the host side of one step.
type batch struct {
	tokens, targets []int32
	rows, seqLen    int // of one part
}

// Part implements [training.Batch].
func (b batch) Part(part int) []*tensors.Tensor {
	return []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(b.tokens[part*b.rows*b.seqLen:(part+1)*b.rows*b.seqLen], b.rows, b.seqLen),
		tensors.FromFlatDataAndDimensions(b.targets[part*b.rows:(part+1)*b.rows], b.rows),
	}
}

// Batch implements [training.Workload].
func (f *finetuning) Batch(step int) (training.Batch, error) {
	c := f.model.Config
	rows := make([]int, c.Training.BatchSize)
	for i := range rows {
		rows[i] = f.order(c.Seed, step*c.Training.BatchSize+i)
	}
	b := batch{rows: f.partRows(), seqLen: c.Data.SeqLen}
	b.tokens, b.targets = f.train.gather(rows, len(rows))
	return b, nil
}

// Scalars implements [training.Workload].
func (f *finetuning) Scalars(int) []float32 { return nil }

// Begin implements [training.Workload]: with the pretrained weights, unless it is the control.
func (f *finetuning) Begin(p *training.Program) error {
	if f.model.Config.Task.FromScratch {
		return nil
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
	f.scored = f.task.Score(f.asked, answers)
	return runs.Values{
		"test_accuracy": f.scored.Model.Accuracy, "test_balanced_accuracy": f.scored.Model.BalancedAccuracy,
		"test_bag_of_words_balanced_accuracy": f.scored.BagOfWords.BalancedAccuracy, "test_majority_balanced_accuracy": f.scored.Majority.BalancedAccuracy,
	}, nil
}

// answers are those of the model to all rows.
func (f *finetuning) answers(p *training.Program, rows *Rows) (answers [][]float32, err error) {
	size := f.partRows()
	predict := func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{f.task.Answers(f.outputs(scope, in[0], nil))}
	}
	for first := 0; first < rows.Len(); first += size {
		here := make([]int, min(size, rows.Len()-first))
		for i := range here {
			here[i] = first + i
		}
		tokens, _ := rows.gather(here, size)
		out, err := p.Call("predict", predict, tensors.FromFlatDataAndDimensions(tokens, size, f.model.Config.Data.SeqLen))
		if err != nil {
			return nil, err
		}
		values, err := tensors.CopyFlatData[float32](out[0])
		out[0].MustFinalizeAll()
		if err != nil {
			return nil, fmt.Errorf("read the answers: %w", err)
		}
		width := len(values) / size
		for i := range here {
			answers = append(answers, values[i*width:(i+1)*width])
		}
	}
	return answers, nil
}

// Details implements [training.Workload]: a [Result].
func (f *finetuning) Details(t training.Trained) any { return f.describe(t) }
