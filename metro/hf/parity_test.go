// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// tolerance is what numbers may differ by: forward in absolute terms, and the norm of a gradient's difference by
// relative·‖g‖ + absolute. The reference is float64, rounded to float32 when it was written.
type tolerance struct{ forward, relative, absolute float64 }

// One step of ELECTRA on the same weights, batch and samples as transformers: states, logits, losses, gradients. A tied
// table's gradient is of the whole loss, through both models.
func TestParityWithTransformers(t *testing.T) {
	for _, name := range []string{"electra", "electra-odd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test := func(t *testing.T, be compute.Backend, dtype dtypes.DType, within tolerance) {
				p := newParity(t, name)
				p.compare(p.run(be, dtype), within)
			}
			backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
				test(t, be, dtypes.Float32, tolerance{forward: 1e-5, relative: 1e-4, absolute: 1e-7})
			})
			t.Run("float64", func(t *testing.T) {
				test(t, backendtest.Go(t), dtypes.Float64, tolerance{forward: 1e-6, relative: 2e-7, absolute: 1e-9})
			})
		})
	}
}

// parity is one fixture, ready to be computed.
type parity struct {
	reference
	folder  *Folder
	config  metro.Config
	weights weights.Source
	rows    []int // [B, S]
	slots   []int // [B, P]
}

func newParity(t *testing.T, name string) *parity {
	p := &parity{reference: openReference(t, name), folder: load(t, filepath.Join("testdata", name))}
	p.rows, p.slots = p.shape("tokens"), p.shape("positions")
	p.config = p.folder.Shape(metro.Config{Data: metro.Data{SeqLen: p.rows[1]}})
	require.Equal(t, metro.SharingTokenPositionNorm, p.config.Sharing)
	p.config.Objective.Name = "rtd"
	p.config.Replacements = metro.Replacements{Source: metro.SourceJoint, Dropout: metro.SampleZero}
	p.weights = as(t, p.folder, p.config)
	return p
}

// results are the outputs of a run by the fixture's names, gradients by ours.
type results map[string]*tensors.Tensor

func (p *parity) run(be compute.Backend, dtype dtypes.DType) results {
	store, m := newStore(p.t, p.weights, dtype), electraModel(p.folder, p.config)
	var names []string
	step := func(scope *model.Scope, in []*Node) []*Node {
		one := Scalar(in[0].Graph(), dtype, 1.0)
		batch := metro.Batch{Tokens: in[0], Masked: in[1], Positions: in[2], Weights: ConvertDType(in[3], dtype), Uniforms: in[4]}
		pass := m.Forward(scope, batch, metro.Scalars{GeneratorWeight: one, RTDWeight: MulScalar(one, 50), Temperature: one})
		var nodes []*Node
		add := func(name string, n *Node) { names, nodes = append(names, name), append(nodes, n) }
		for i, state := range m.GeneratorLayers(scope, batch.Masked, pass.NonPad, nil, nil) {
			add(fmt.Sprintf("generator_state_%d", i), state)
		}
		for i, state := range m.MainLayers(scope, pass.Corrupted(), pass.NonPad, nil, nil) {
			add(fmt.Sprintf("main_state_%d", i), state)
		}
		add("generator_logits", pass.GeneratorLogits())
		add("rtd_logits", pass.RTDLogits())
		add("samples", pass.Samples())
		add("generator_loss", pass.Terms[0].Loss)
		add("rtd_loss", pass.Terms[1].Loss)
		add("loss", pass.Loss)
		var variables []*Node
		for _, tensor := range p.weights.Tensors() {
			variables = append(variables, store.GetVariable(variablePath(tensor.Name)).NodeValue(in[0].Graph()))
		}
		for i, gradient := range Gradient(pass.Loss, variables...) {
			add(p.weights.Tensors()[i].Name, gradient)
		}
		return nodes
	}
	exec, err := model.NewExec(be, store, step)
	require.NoError(p.t, err)
	outputs, err := exec.Call(p.inputs()...)
	require.NoError(p.t, err)
	require.Equal(p.t, len(p.weights.Tensors()), store.NumVariables(), "the model made variables that the folder has not")
	out := results{}
	for i, name := range names {
		out[name] = outputs[i]
	}
	return out
}

// inputs are the batch, with uniforms that make the samples what they were.
func (p *parity) inputs() []any {
	tokens, positions, weights := p.ints("tokens"), p.ints("positions"), p.floats("weights")
	masked := slices.Clone(tokens)
	for i, position := range positions {
		if weights[i] > 0 {
			masked[i/p.slots[1]*p.rows[1]+int(position)] = p.folder.Tokenizer.Special().MASK
		}
	}
	uniforms := make([]float32, len(positions))
	vocab := p.config.Data.VocabSize
	logits := p.floats("generator_logits")
	for i, sample := range p.ints("samples") {
		uniforms[i] = uniformFor(p.t, logits[i*vocab:(i+1)*vocab], int(sample))
	}
	return []any{
		tensors.FromFlatDataAndDimensions(tokens, p.rows...), tensors.FromFlatDataAndDimensions(masked, p.rows...),
		tensors.FromFlatDataAndDimensions(positions, p.slots...), tensors.FromFlatDataAndDimensions(weights, p.slots...),
		tensors.FromFlatDataAndDimensions(uniforms, p.slots...),
	}
}

// uniformFor is the middle of the piece of [0, 1) that the inverse of the cumulative distribution turns into sample.
func uniformFor(t *testing.T, logits []float32, sample int) float32 {
	var before, at, sum float64
	for id, logit := range logits {
		p := math.Exp(float64(logit))
		switch {
		case id < sample:
			before += p
		case id == sample:
			at = p
		}
		sum += p
	}
	require.Greater(t, at/sum, 1e-5, "the piece is too small to be hit in float32")
	return float32((before + at/2) / sum)
}

func (p *parity) compare(got results, within tolerance) {
	samples, weights := tensors.MustCopyFlatData[int32](got["samples"]), p.floats("weights")
	for i, want := range p.ints("samples") {
		require.True(p.t, weights[i] == 0 || samples[i] == want, "sample %d is %d, not %d", i, samples[i], want)
	}
	worst := 0.0
	for name := range got {
		if _, ok := p.file.Lookup(name); ok && name != "samples" {
			d := largestDifference(p.t, flat(got[name]), p.floats(name))
			limit := within.forward
			if name == "loss" {
				limit *= 1 + 50 // the sum of the two losses with their weights
			}
			require.LessOrEqual(p.t, d, limit, name)
			worst = max(worst, d/limit)
		}
	}
	worstGradient := p.compareGradients(got, within)
	p.t.Logf("of the tolerance: forward %.2g, gradients %.2g", worst, worstGradient)
}

func largestDifference(t *testing.T, got []float64, want []float32) float64 {
	require.Len(t, got, len(want))
	worst := 0.0
	for i := range got {
		worst = max(worst, math.Abs(got[i]-float64(want[i])))
	}
	return worst
}

func (p *parity) compareGradients(got results, within tolerance) (worst float64) {
	compared := 0
	for folder, part := range map[string]*part{"discriminator": p.folder.main, "generator": p.folder.generator} {
		for _, j := range part.joints(p.config) {
			name := fmt.Sprintf("gradient.%s.%s", folder, j.theirs)
			if _, ok := p.file.Lookup(name); !ok {
				require.True(p.t, folder == "generator" && strings.Contains(name, "embeddings."), name)
				continue // tied: it is the discriminator's
			}
			want := wide(p.floats(name))
			if j.transposed {
				want = transposed(want, j.shape[1], j.shape[0])
			}
			gradient := flat(got[j.ours])
			require.Len(p.t, gradient, len(want), name)
			var difference, norm float64
			for i, g := range gradient {
				difference += (g - want[i]) * (g - want[i])
				norm += want[i] * want[i]
			}
			limit := within.relative*math.Sqrt(norm) + within.absolute
			require.LessOrEqual(p.t, math.Sqrt(difference), limit, "%s, whose norm is %g", name, math.Sqrt(norm))
			worst = max(worst, math.Sqrt(difference)/limit)
			compared++
		}
	}
	require.Equal(p.t, len(p.weights.Tensors()), compared)
	return worst
}

func transposed(values []float64, rows, columns int) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i%columns*rows+i/columns] = v
	}
	return out
}

// variablePath is the path of the variable of that name.
func variablePath(name string) string { return "/" + strings.ReplaceAll(name, ".", "/") }
