// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

// adaptations are what is tried of each, as --set has it.
var adaptations = map[string][]string{
	"full": nil, "head": {"task.adaptation=head"}, "norms": {"task.adaptation=norms"}, "bias": {"task.adaptation=bias"},
	"lora": {"task.adaptation=lora"}, "prompt": {"task.adaptation=prompt", "task.adaptation_options.tokens=3"},
	"connector": {"task.adaptation=connector"},
}

// begun is a run of a few steps that reads the words of [toy].
func begun(t *testing.T, r *training.Runner, assignments ...string) training.Pretrained {
	t.Helper()
	r.Corpus = library(t, 300, "sort", "strings")
	c := recipes.Micro()
	c.Training.Steps, c.Training.BatchSize, c.Evaluation.Rows, c.Optimizer.WarmupSteps = 4, 4, 4, 1
	require.NoError(t, c.SetAll(assignments...))
	run, err := r.Run(t.Context(), "micro", c, nil)
	require.NoError(t, err)
	p, err := training.LoadPretrained(run.Run.Dir)
	require.NoError(t, err)
	return p
}

// hashes are the SHA-256 of the tensors of a model.
func hashes(t *testing.T, p training.Pretrained) map[string][sha256.Size]byte {
	t.Helper()
	src, err := p.Source()
	require.NoError(t, err)
	defer src.Close()
	sums := map[string][sha256.Size]byte{}
	for name, dims := range weights.Shapes(src) {
		n := 1
		for _, d := range dims {
			n *= d
		}
		values := make([]float32, n)
		require.NoError(t, src.Read(name, values))
		var bytes []byte
		for _, v := range values {
			bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(v))
		}
		sums[name] = sha256.Sum256(bytes)
	}
	return sums
}

// Whatever does not learn has the hash that it had, whatever learns has another, and the run says how much that is, heads counted.
// A fine-tuned model answers from its folder as it did at the end of its run.
func TestAdaptationsLeaveTheRest(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		r, task := runnerOn(t, be), toy()
		p := begun(t, r)
		before := hashes(t, p)
		shares := map[string]float64{}
		for _, name := range slices.Sorted(maps.Keys(adaptations)) {
			o := Options{Steps: 5, BatchSize: 12, LearningRate: 4e-3, Set: adaptations[name]}
			result, err := Finetune(t.Context(), r, p, task, o, nil)
			require.NoError(t, err, name)
			tuned, err := training.LoadPretrained(result.Run.Dir)
			require.NoError(t, err)
			after, c := hashes(t, tuned), tuned.Model.Config
			learning := metro.Describe(c, tuned.Model.Vocab).Learning().ByPath()
			trainable, all := 0, 0
			for tensor, sum := range after {
				w, learns := learning["/"+strings.ReplaceAll(tensor, ".", "/")]
				isHead := strings.HasPrefix(tensor, "task.")
				old, ours := before[tensor]
				switch {
				case isHead:
					w.Shape = [][]int{{c.Main.Width, 3}, {3}}[strings.Count(tensor, "bias")]
					fallthrough
				case learns:
					trainable += w.Size()
					require.NotEqual(t, old, sum, "%s: %s", name, tensor)
				default:
					require.True(t, ours, "%s: %s is neither the model's nor learns", name, tensor)
					require.Equal(t, old, sum, "%s: %s", name, tensor)
				}
			}
			src, err := tuned.Source()
			require.NoError(t, err)
			for _, dims := range weights.Shapes(src) {
				n := 1
				for _, d := range dims {
					n *= d
				}
				all += n
			}
			require.NoError(t, src.Close())
			require.Equal(t, []int{trainable, all}, []int{result.Trainable, result.Weights}, name)
			shares[name] = float64(trainable) / float64(all)

			said, err := Predict(r, p, task, o)
			require.NoError(t, err)
			require.Equal(t, said, answered(t, be, tuned, task), "%s: from the folder", name)
		}
		t.Log(shares)
		require.Equal(t, 1.0, shares["full"])
		require.Less(t, shares["head"], shares["prompt"])
		require.Less(t, shares["norms"], shares["bias"])
	})
}

// answered is what a fine-tuned model says, read from its folder alone.
func answered(t *testing.T, be compute.Backend, tuned training.Pretrained, task Task) []Prediction {
	t.Helper()
	f := newFinetuning(tuned, task, tuned.Model.Config)
	program := training.NewProgram(be, f)
	defer program.Close()
	require.NoError(t, program.Start(f))
	src, err := tuned.Source()
	require.NoError(t, err)
	defer src.Close()
	require.NoError(t, weights.Restore(program.Store(), src, f.model.Config, program.Weights()))
	answers, err := f.answers(program, f.asked)
	require.NoError(t, err)
	return task.Score(f.asked, answers).Predictions
}

// No gradient is computed and no optimizer's state is built for what does not learn: the step lacks the products for the gradients of
// matrices that stand still, writes no variable but those that learn, and a checkpoint has moments of these alone. For a linear head the
// whole step has one product more than an answer.
func TestFrozenWeightsHaveNoGradient(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	p := begun(t, runnerOn(t, be))
	products, forward, layers := map[string]int{}, map[string]int{}, p.Model.Config.Main.Layers
	for name, set := range adaptations {
		c, err := Options{Steps: 2, BatchSize: 12, Set: set}.config(p, task)
		require.NoError(t, err)
		f := newFinetuning(p, task, c)
		program := training.NewProgram(be, f)
		require.NoError(t, program.Start(f))
		learning := program.Weights().Learning().ByPath()
		for _, v := range program.Variables() {
			path := v.Path()
			for _, moment := range []string{"/adamw/m", "/adamw/v"} {
				if rest, ok := strings.CutPrefix(path, moment); ok {
					require.Contains(t, learning, rest, "%s has a moment of a frozen weight", name)
				}
			}
		}
		require.Len(t, program.Variables(), len(program.Weights())+2*len(learning), name)

		g := NewGraph(be, name)
		model.SetStore(g, program.Store())
		shapes, _ := f.Inputs()
		in := []*Node{Parameter(g, "tokens", shapes[0]), Parameter(g, "targets", shapes[1])}
		loss := f.Forward(program.Store().RootScope(), in, nil, nil, nil).Loss
		forward[name] = count(NodeTypeDotGeneral, loss)
		outputs := []*Node{training.Optimize(program.Store(), loss, Const(g, training.Rates(c, 1)), program.Weights(), c)}
		for v := range program.Store().IterVariables() {
			if v.ChangedInGraph(g) {
				outputs = append(outputs, v.NodeValue(g))
			}
		}
		products[name] = count(NodeTypeDotGeneral, outputs...)
		for v := range program.Store().IterVariables() {
			_, learns := learning[strings.TrimPrefix(strings.TrimPrefix(v.Path(), "/adamw/m"), "/adamw/v")]
			require.Equal(t, learns, v.ChangedInGraph(g), "%s: %s", name, v.Path())
		}
		g.Finalize()
		program.Close()
	}
	require.Equal(t, forward["head"]+1, products["head"])
	require.Equal(t, forward["full"], forward["head"])
	for _, name := range []string{"norms", "bias"} { // per layer: query, key and value together, output, and two of the feed-forward map
		require.Equal(t, 4*layers+1, products["full"]-products[name], "%s, and the product of the relative table", name)
	}
	require.Less(t, products["lora"]-forward["lora"], products["full"]-forward["full"])
	t.Log(forward, products)
}

// count counts the nodes of a kind that outputs are computed from.
func count(kind NodeType, outputs ...*Node) (n int) {
	seen := map[*Node]bool{}
	for len(outputs) > 0 {
		node := outputs[0]
		if outputs = outputs[1:]; seen[node] {
			continue
		}
		if seen[node] = true; node.Type() == kind {
			n++
		}
		outputs = append(outputs, node.Inputs()...)
	}
	return n
}

// A prompt of no slots is the linear head, to the bit, and so is a fine-tuning of either.
func TestNoSlotsAreTheLinearHead(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		r, task := runnerOn(t, be), toy()
		p := begun(t, r, "main.dropout=0.1")
		tune := func(set ...string) (Result, map[string][sha256.Size]byte) {
			result, err := Finetune(t.Context(), r, p, task, Options{Steps: 6, BatchSize: 12, LearningRate: 4e-3, Set: set}, nil)
			require.NoError(t, err)
			tuned, err := training.LoadPretrained(result.Run.Dir)
			require.NoError(t, err)
			return result, hashes(t, tuned)
		}
		head, headSums := tune("task.adaptation=head")
		none, noneSums := tune("task.adaptation=prompt", "task.adaptation_options.tokens=0")
		require.Equal(t, headSums, noneSums)
		require.Equal(t, head.Loss, none.Loss)
		require.Equal(t, head.Model, none.Model)
		require.NotEqual(t, head.Run.ID, none.Run.ID)
		some, _ := tune("task.adaptation=prompt", "task.adaptation_options.tokens=1")
		require.NotEqual(t, head.Loss, some.Loss)
	})
}

// Each adaptation, stopped and gone on with, is the one that was not; in parts of a step it is that of the whole; it has the head on
// [CLS], several learning rates, layer decay where layers learn, another seed, and a body that was never trained.
func TestAdaptationsWithTheRest(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	shared := runnerOn(t, be)
	p := begun(t, shared, "main.dropout=0.1")
	for name, set := range adaptations {
		t.Run(name, func(t *testing.T) {
			o := Options{Steps: 6, BatchSize: 12, LearningRate: 4e-3, Set: append(slices.Clone(set), "training.checkpoint_every=2")}
			whole, err := Finetune(t.Context(), runnerOn(t, be), p, task, o, nil)
			require.NoError(t, err)
			r := runnerOn(t, be)
			ctx, cancel := context.WithCancel(t.Context())
			_, err = Finetune(ctx, r, p, task, o, func(at training.Progress) {
				if at.Step == 3 {
					cancel()
				}
			})
			require.ErrorIs(t, err, training.ErrInterrupted)
			resumed, err := Finetune(t.Context(), r, p, task, o, nil)
			require.NoError(t, err)
			whole.Seconds, resumed.Seconds, whole.Run, resumed.Run = 0, 0, nil, nil
			require.Equal(t, whole, resumed)

			with := func(more ...string) (Result, error) {
				o := o
				o.Set = append(slices.Clone(set), more...)
				return Finetune(t.Context(), r, p, task, o, nil)
			}
			parts, err := with("training.accumulate=3")
			require.NoError(t, err)
			require.InDelta(t, whole.Loss, parts.Loss, 1e-5)
			cls, err := with("task.pooling=cls")
			require.NoError(t, err)
			require.NotEqual(t, whole.Loss, cls.Loss)
			require.Greater(t, cls.Trainable, whole.Trainable, "the head on [CLS] is counted")
			group := "task: lr=3"
			if name == "lora" || name == "prompt" || name == "connector" {
				group = "main/adapter: lr=3"
			}
			grouped, err := with("optimizer.groups=" + group)
			require.NoError(t, err)
			require.NotEqual(t, whole.Loss, grouped.Loss)
			_, err = with("optimizer.layer_decay=0.5")
			if name == "full" || name == "norms" || name == "bias" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "optimizer.layer_decay=0.5 does nothing here: task.adaptation leaves the layers as they are")
				require.True(t, usererr.Is(err))
			}
			_, err = with("training.matmul=bfloat16")
			require.ErrorContains(t, err, "training.matmul=bfloat16 needs XLA")
			o.Seed = 1
			other, err := Finetune(t.Context(), r, p, task, o, nil)
			require.NoError(t, err)
			require.NotEqual(t, whole.Loss, other.Loss)
			o.FromScratch = true
			random, err := Finetune(t.Context(), r, p, task, o, nil)
			require.NoError(t, err)
			require.NotEqual(t, other.Loss, random.Loss)
			require.Equal(t, other.Trainable, random.Trainable)
			recipe, err := RecipeOf("electra")
			require.NoError(t, err)
			published := Options{Steps: 2, Set: slices.Clone(set)}
			recipe.Apply(task, &published)
			_, err = Finetune(t.Context(), r, p, task, published, nil)
			require.NoError(t, err)
		})
	}
}

// bfloat16 is XLA's alone, where each adaptation trains with it; without METROLAB_TEST_LONG=1, two are tried.
func TestAdaptationsInBFloat16(t *testing.T) {
	be, task := backendtest.XLA(t), toy()
	r := runnerOn(t, be)
	p := begun(t, r)
	for name, set := range adaptations {
		for _, activations := range []string{metro.ActivationsFloat32, metro.ActivationsBFloat16} {
			if os.Getenv("METROLAB_TEST_LONG") == "" && (name != "lora" && name != "connector" || activations == metro.ActivationsFloat32) {
				continue
			}
			o := Options{Steps: 2, BatchSize: 12, Set: append(slices.Clone(set), "training.matmul=bfloat16", "training.activations="+activations)}
			if activations == metro.ActivationsFloat32 {
				o.Set = o.Set[:len(o.Set)-1]
			}
			_, err := Finetune(t.Context(), r, p, task, o, nil)
			require.NoError(t, err, "%s, %s", name, activations)
		}
	}
}

// A connector on a generator that is drawn anew is another run, with a frozen generator that nobody trained. A model without a
// generator has none to read.
func TestConnectorsNeedAGenerator(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	r := runnerOn(t, be)
	p := begun(t, r, "sharing=none")
	tune := func(p training.Pretrained, set ...string) (Result, error) {
		return Finetune(t.Context(), r, p, task, Options{Steps: 3, BatchSize: 12, LearningRate: 4e-3, Set: set}, nil)
	}
	before := hashes(t, p)
	trained, err := tune(p, "task.adaptation=connector")
	require.NoError(t, err)
	random, err := tune(p, "task.adaptation=connector", "task.adaptation_options.random_generator=true")
	require.NoError(t, err)
	require.NotEqual(t, trained.Loss, random.Loss)
	require.Equal(t, trained.Trainable, random.Trainable)
	for result, same := range map[*runs.Run]bool{trained.Run: true, random.Run: false} {
		tuned, err := training.LoadPretrained(result.Dir)
		require.NoError(t, err)
		after := hashes(t, tuned)
		require.Equal(t, same, after["generator.layer_0.ffn_in.weights"] == before["generator.layer_0.ffn_in.weights"])
		require.Equal(t, before["main.layer_0.ffn_in.weights"], after["main.layer_0.ffn_in.weights"])
	}
	alone := begun(t, r, "objective.name=mlm")
	_, err = tune(alone, "task.adaptation=connector")
	require.ErrorContains(t, err, "task.adaptation=connector reads the states of a generator, and "+alone.Dir+" holds none")
	require.True(t, usererr.Is(err))
	_, err = tune(alone, "task.adaptation=connector", "task.adaptation_options.random_generator=true")
	require.NoError(t, err)
}

// What stands beside a main model is no part of it: a model that was fine-tuned so is read, and nothing is begun with it, while one
// of which a part has learned is a model like any other.
func TestWhatIsBesideAModelIsNotDropped(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	r := runnerOn(t, be)
	p := begun(t, r)
	for name, set := range adaptations {
		result, err := Finetune(t.Context(), r, p, task, Options{Steps: 1, BatchSize: 12, Set: set}, nil)
		require.NoError(t, err)
		tuned, err := training.LoadPretrained(result.Run.Dir)
		require.NoError(t, err)
		reader, err := NewReader(be, tuned, ReaderOptions{Hidden: true})
		require.NoError(t, err)
		_, err = reader.Texts(t.Context(), "close the file")
		require.NoError(t, err)
		_, again := Finetune(t.Context(), r, tuned, task, Options{Steps: 1, BatchSize: 12}, nil)
		_, exported := tuned.Export(t.TempDir())
		for _, err := range []error{again, exported} {
			if tuned.Model.Config.Adapter() == "" {
				require.NoError(t, err, name)
				continue
			}
			require.ErrorContains(t, err, result.Run.Dir+" was fine-tuned with task.adaptation="+name+", whose weights stand beside the main model's")
			require.True(t, usererr.Is(err))
		}
	}
}
