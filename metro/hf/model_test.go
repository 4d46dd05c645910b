// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/tokens/wordpiece"
	"metrolab/metro/weights"
)

// electraConfig is a model that ELECTRA has a place for, with the generator's sharing still to be chosen.
func electraConfig() metro.Config {
	main := metro.Encoder{
		Layers: 2, Width: 8, Heads: 2, FFN: 12, FeedForward: metro.FeedForwardDense, LayerSharing: metro.LayerSharingNone, Activation: "gelu", Norm: metro.NormPost, Epsilon: 1e-5,
		Init: metro.InitNormal, InitScale: metro.InitScaleNone,
	}
	generator := main
	generator.Layers, generator.Width, generator.FFN = 1, 6, 10
	return metro.Config{
		Data:       metro.Data{SeqLen: 7},
		Embeddings: metro.Embeddings{Width: 5, TokenTypes: 2, Kind: metro.EmbedderTable},
		Main:       main, Generator: generator,
		Positions:    metro.Positions{Absolute: true, Relative: metro.RelativeNone, Scale: 1},
		Sharing:      metro.SharingTokenPositionNorm,
		Replacements: metro.Replacements{Source: metro.SourceJoint, Dropout: metro.SampleZero},
		Objective:    metro.Objective{Name: "rtd", GeneratorHead: metro.GeneratorHeadNorm, RTDHead: metro.RTDHeadProjected},
	}
}

func with(change func(c *metro.Config)) metro.Config {
	c := electraConfig()
	change(&c)
	return c
}

func testTokenizer(t *testing.T) *wordpiece.Tokenizer {
	t.Helper()
	tokenizer, err := wordpiece.LoadFolder("testdata/electra/generator")
	require.NoError(t, err)
	return tokenizer
}

// variables is a store as a [weights.Source].
type variables struct {
	model  metro.Model
	byName map[string]*model.Variable
}

func (v variables) String() string     { return "variables" }
func (v variables) Model() metro.Model { return v.model }
func (v variables) Close() error       { return nil }

func (v variables) Tensors() []weights.Tensor {
	var out []weights.Tensor
	for name, variable := range v.byName {
		out = append(out, weights.Tensor{Name: name, Shape: variable.Shape().Dimensions})
	}
	slices.SortFunc(out, func(a, b weights.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (v variables) Read(name string, dst []float32) error {
	variable, ok := v.byName[name]
	if !ok {
		return fmt.Errorf("no variable %s", name)
	}
	copy(dst, tensors.MustCopyFlatData[float32](variable.MustValue()))
	return nil
}

// newModel makes the variables of a model of config c, none of which is like another, by running it once.
func newModel(t *testing.T, c metro.Config, vocab int) (variables, *model.Store) {
	t.Helper()
	store := model.NewStore()
	outputs(t, c, vocab, store)
	all := variables{metro.Model{Config: c, Vocab: vocab}, map[string]*model.Variable{}}
	for v := range store.IterVariables() {
		all.byName[strings.ReplaceAll(strings.TrimPrefix(v.Path(), "/"), "/", ".")] = v
	}
	for i, tensor := range all.Tensors() {
		values := make([]float32, elements(tensor.Shape))
		for k := range values {
			values[k] = float32(i+1)/64 - float32(k%23)/32
		}
		require.NoError(t, all.byName[tensor.Name].SetValue(tensors.FromFlatDataAndDimensions(values, tensor.Shape...)))
	}
	return all, store
}

// outputs runs a step of the model on a fixed batch and returns its loss and RTD or CLM logits.
func outputs(t *testing.T, c metro.Config, vocab int, store *model.Store) []float64 {
	t.Helper()
	const rows, slots = 2, 2
	tokens, positions := make([]int32, rows*c.Data.SeqLen), []int32{1, 3, 2, 4}
	for i := range tokens {
		tokens[i] = int32(5 + i*7%(vocab-5))
	}
	m := metro.Model{Config: c, Vocab: vocab, LogUniform: make([]float32, vocab)}
	exec, err := model.NewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		g := in[0].Graph()
		one := Scalar(g, dtypes.Float32, 1.0)
		ones := Ones(g, in[1].Shape())
		batch := metro.Batch{
			Tokens: in[0], Masked: in[0], Positions: in[1], Weights: ConvertDType(ones, dtypes.Float32),
			Uniforms: MulScalar(ConvertDType(ones, dtypes.Float32), 0.3), Rows: Const(g, []float32{0.2, 0.7}),
		}
		options := map[string]*Node{}
		for _, path := range c.InputOptions() {
			options[path] = Scalar(g, dtypes.Float32, c.Option(path).(float64))
		}
		pass := m.Forward(scope, batch, metro.Scalars{
			GeneratorWeight: one, RTDWeight: one, CLMWeight: one, SCLWeight: one, BiasScale: one, Temperature: one, Options: options,
		})
		return []*Node{pass.Loss}
	})
	require.NoError(t, err)
	out, err := exec.Call(
		tensors.FromFlatDataAndDimensions(tokens, rows, c.Data.SeqLen), tensors.FromFlatDataAndDimensions(positions, rows, slots))
	require.NoError(t, err)
	return flat(out[0])
}
