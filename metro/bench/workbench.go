// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"path/filepath"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/randstream"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/tokens/wordpiece"
	"metrolab/metro/training"
)

// component is a function that is timed alone.
type component struct {
	name string
	call func() error
}

// workbench holds what components work on.
type workbench struct {
	backend  compute.Backend
	dir      string
	model    metro.Model
	dataset  *data.Dataset
	workload *training.Pretraining
	program  *training.Program
	execs    []*model.Exec
}

func newWorkbench(backend compute.Backend, c metro.Config, dir string) (*workbench, error) {
	d, err := synthetic(c, dir)
	if err != nil {
		return nil, err
	}
	b := &workbench{backend: backend, dir: dir, model: modelOn(c, d), dataset: d}
	b.workload = training.NewPretrainingOn(b.model, d)
	b.program = training.NewProgram(backend, b.workload)
	if err := b.program.Start(b.workload); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *workbench) close() {
	for _, e := range b.execs {
		e.Finalize()
	}
	b.program.Close()
	b.dataset.Close()
}

// components are those that the config has.
func (b *workbench) components() []component {
	c := b.model.Config
	var list []component
	if c.Positions.Relative == metro.RelativeSignedLog || c.Positions.Relative == metro.RelativeT5 {
		list = append(list, component{"position bias", b.bias()})
	}
	return append(list,
		component{"attention", b.attention()},
		component{"CLM head", b.correctiveHead()},
		component{"sampling", b.sampling()},
		component{"masking", b.masking()},
		component{"tokenizer", tokenizing()},
		component{"loader", b.loader()},
		component{"checkpoint save", b.save()},
		component{"checkpoint load", b.load()},
	)
}

// graph is a call of a graph on tensors of random numbers of these shapes, with weights of its own.
func (b *workbench) graph(build func(scope *model.Scope, in []*Node) []*Node, inputs ...any) func() error {
	e, err := model.NewExec(b.backend, model.NewStore(), build)
	if err != nil {
		return func() error { return err }
	}
	b.execs = append(b.execs, e)
	return func() error {
		out, err := e.Call(inputs...)
		for _, t := range out {
			t.MustFinalizeAll()
		}
		return err
	}
}

// gradients are those of the mean square of y by x and by all weights that the graph reads.
func gradients(scope *model.Scope, y *Node, x ...*Node) []*Node {
	for v := range scope.Store().IterVariables() {
		if v.InUseByGraph(y.Graph()) {
			x = append(x, v.NodeValue(y.Graph()))
		}
	}
	return Gradient(ReduceAllMean(Square(y)), x...)
}

func (b *workbench) bias() func() error {
	p := b.model.Config.Positions
	spread := layers.RelativePositionBias
	if p.Relative == metro.RelativeT5 {
		spread = layers.T5PositionBias
	}
	return b.graph(func(scope *model.Scope, in []*Node) []*Node {
		return gradients(scope, spread(in[0], b.model.Config.Data.SeqLen, p.MaxDistance), in[0])
	}, random(p.Bins, b.model.Config.Main.Heads))
}

func (b *workbench) attention() func() error {
	c := b.model.Config
	layer := layers.SelfAttention{Heads: c.Main.Heads, Init: layers.InitNormal(0.02)}
	return b.graph(func(scope *model.Scope, in []*Node) []*Node {
		return gradients(scope, layer.Apply(scope, in[0], in[1], nil), in[0], in[1])
	}, random(c.Training.BatchSize, c.Data.SeqLen, c.Main.Width), random(1, c.Main.Heads, c.Data.SeqLen, c.Data.SeqLen))
}

func (b *workbench) correctiveHead() func() error {
	c := b.model.Config
	slots := c.MaskedPositions()
	return b.graph(func(scope *model.Scope, in []*Node) []*Node {
		logits := metro.CorrectiveLogits(scope, c.Main, in[0], in[1])
		targets := Iota(in[0].Graph(), shapes.Make(dtypes.Int32, c.Training.BatchSize, slots), 1)
		return gradients(scope, metro.NegativeLogLikelihood(logits, targets), in[0], in[1])
	}, random(c.Training.BatchSize, slots, c.Main.Width), random(b.model.Vocab, c.EmbeddingWidth()))
}

func (b *workbench) sampling() func() error {
	c := b.model.Config
	slots := c.MaskedPositions()
	return b.graph(func(_ *model.Scope, in []*Node) []*Node {
		return []*Node{metro.SampleReplacements(in[0], in[1], nil)}
	}, random(c.Training.BatchSize, slots, b.model.Vocab), random(c.Training.BatchSize, slots))
}

func (b *workbench) masking() func() error {
	c := b.model.Config
	rng := randstream.New(0, "bench/masks")
	rows := make([][]int32, c.Training.BatchSize)
	positions, weights := make([]int32, c.MaskedPositions()), make([]float32, c.MaskedPositions())
	return func() error {
		for i := range rows {
			if rows[i] == nil {
				rows[i] = make([]int32, c.Data.SeqLen)
				if err := b.dataset.Train.Read(i, rows[i]); err != nil {
					return err
				}
			}
			data.MaskPositions(rng, rows[i], c.Masking.Rate, b.dataset.Maskable, positions, weights)
		}
		return nil
	}
}

// tokenizing encodes the headers of all recipes with a WordPiece tokenizer that is learned from them.
func tokenizing() func() error {
	var texts []string
	for _, r := range recipes.All() {
		texts = append(texts, r.About())
	}
	t, err := wordpiece.Train(slices.Values(texts), wordpiece.Options{VocabSize: 1000, Lowercase: true})
	var ids []int32
	return func() error {
		for _, text := range texts {
			if err == nil {
				ids = t.EncodeIDs(ids[:0], text)
			}
		}
		return err
	}
}

func (b *workbench) loader() func() error {
	step := 0
	return func() error {
		_, err := b.workload.Batch(step)
		step++
		return err
	}
}

const checkpointFile = "variables.safetensors"

func (b *workbench) save() func() error {
	checkpoints := runs.Checkpoints{Dir: filepath.Join(b.dir, "checkpoints"), Keep: 1}
	step := 0
	return func() error {
		step++
		return checkpoints.Save(step, func(dir string) error { return b.program.Save(filepath.Join(dir, checkpointFile)) })
	}
}

func (b *workbench) load() func() error {
	path := filepath.Join(b.dir, checkpointFile)
	written := false
	return func() error {
		if !written {
			if err := b.program.Save(path); err != nil {
				return err
			}
			written = true
		}
		return b.program.Load(path)
	}
}

// random is a tensor of numbers between 0 and 1.
func random(dims ...int) *tensors.Tensor {
	rng := randstream.New(0, "bench/numbers")
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = rng.Float32()
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}
