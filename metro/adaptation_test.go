// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro"
)

// adapted is [small], fine-tuned with an adaptation; "" is the whole model.
func adapted(t *testing.T, adaptation string, assignments ...string) metro.Model {
	t.Helper()
	return small(t, append([]string{"main.layers=4", "task.name=families", "training.init_from=a", "task.adaptation=" + adaptation}, assignments...)...)
}

// statesOf are the main model's states of [smallBatch], with weights that change has altered.
func statesOf(t *testing.T, be compute.Backend, m metro.Model, change func(path string, values []float32)) []float32 {
	t.Helper()
	store := model.NewStore()
	store.SetParam(layers.ParamSeed, int64(1))
	metro.Describe(m.Config, m.Vocab).Fill(store)
	if change != nil {
		for v := range store.IterVariables() {
			value, err := v.Value()
			require.NoError(t, err)
			tensors.MustMutableFlatData(value, func(flat []float32) { change(v.Path(), flat) })
		}
	}
	exec, err := model.NewExec(be, store, func(scope *model.Scope, in []*Node) *Node {
		nonPad := NotEqual(in[0], ZerosLike(in[0]))
		return m.MainStates(scope, in[0], nonPad, Scalar(in[0].Graph(), dtypes.Float32, m.Config.Positions.Scale), nil)
	})
	require.NoError(t, err)
	defer exec.Finalize()
	out, err := exec.Call(smallBatch().tokens)
	require.NoError(t, err)
	require.Equal(t, []int{2, 8, 8}, out[0].Shape().Dimensions, "the states of the tokens alone")
	return tensors.MustCopyFlatData[float32](out[0])
}

// scaled multiplies the weights whose paths hold a word.
func scaled(word string, factor float32) func(path string, values []float32) {
	return func(path string, values []float32) {
		for i := range values {
			if strings.Contains(path, word) {
				values[i] *= factor
			}
		}
	}
}

// shifted adds to them.
func shifted(word string, by float32) func(path string, values []float32) {
	return func(path string, values []float32) {
		for i := range values {
			if strings.Contains(path, word) {
				values[i] += by * float32(i%3)
			}
		}
	}
}

// With maps of low rank whose second factor is 0, without slots, and where only weights of the model learn, the states are those of
// the model, to the bit; what learns changes them. Sums with 0 are to the bit in pure Go; XLA puts them into other kernels.
func TestAdaptationsBeginWithTheModel(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		norms := []string{metro.NormPost, metro.NormPre}
		if be != backendtest.Go(t) {
			norms = norms[:1] // for time
		}
		for _, norm := range norms {
			whole := statesOf(t, be, adapted(t, "", "main.norm="+norm), nil)
			for name, settings := range map[string][]string{
				"head": {"head"}, "norms": {"norms"}, "bias": {"bias"}, "no slots": {"prompt", "task.adaptation_options.tokens=0"},
				"lora": {"lora"}, "lora of all": {"lora", "task.adaptation_options.maps=attention", "task.adaptation_options.alpha=8"},
			} {
				m := adapted(t, settings[0], append([]string{"main.norm=" + norm}, settings[1:]...)...)
				if states := statesOf(t, be, m, nil); strings.HasPrefix(name, "lora") && be != backendtest.Go(t) {
					require.InDeltaSlice(t, whole, states, 2e-6, name)
				} else {
					require.Equal(t, whole, states, name)
				}
			}
			for name, m := range map[string]metro.Model{
				"up": adapted(t, "lora", "main.norm="+norm), "prompt_embedding": adapted(t, "prompt", "main.norm="+norm, "task.adaptation_options.tokens=2"),
				"prompt_out": adapted(t, "prompt", "main.norm="+norm, "task.adaptation_options.mlp=true"), "connector_0": adapted(t, "connector", "main.norm="+norm),
			} {
				require.NotEqual(t, whole, statesOf(t, be, m, shifted("adapter/", 0.5)), name)
				require.NotEqual(t, statesOf(t, be, m, nil), statesOf(t, be, m, shifted(name, 0.5)), name)
			}
		}
	})
}

// Maps of low rank are W + (alpha/rank)·down·up: with that added to W itself, the model says the same.
func TestLoRAIsASum(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		m := adapted(t, "lora", "task.adaptation_options.rank=2", "task.adaptation_options.alpha=3", "task.adaptation_options.maps=attention")
		factors := map[string][]float32{}
		beside := statesOf(t, be, m, func(path string, values []float32) {
			shifted("/up", 0.2)(path, values)
			factors[path] = append([]float32{}, values...)
		})
		merged := statesOf(t, be, adapted(t, ""), func(path string, w []float32) {
			at := strings.TrimSuffix(strings.Replace(path, "/main/", "/main/adapter/", 1), "/weights")
			down, up := factors[at+"/down"], factors[at+"/up"]
			if down == nil || !strings.HasSuffix(path, "/weights") {
				return
			}
			for i := range 8 {
				for j := range 8 {
					for r := range 2 {
						w[i*8+j] += 1.5 * down[i*2+r] * up[r*8+j]
					}
				}
			}
		})
		require.InDeltaSlice(t, merged, beside, 1e-4)
		require.NotEqual(t, merged, statesOf(t, be, adapted(t, ""), nil))
	})
}

// A connector that is 0 hides what the generator is; one that is not tells it, from its layer on, and each of several states enters.
func TestTheConnectorReadsTheGenerator(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		both := func(a, b func(path string, values []float32)) func(path string, values []float32) {
			return func(path string, values []float32) { a(path, values); b(path, values) }
		}
		another := shifted("/generator/layer_", 0.5)
		m := adapted(t, "connector", "sharing=none", "generator.layers=2", "task.adaptation_options.states=2", "task.adaptation_options.first_layer=1")
		require.NotEqual(t, statesOf(t, be, m, nil), statesOf(t, be, m, another))
		require.Equal(t, statesOf(t, be, m, scaled("connector", 0)), statesOf(t, be, m, both(scaled("connector", 0), another)))
		for _, one := range []string{"connector_0", "connector_1"} {
			require.NotEqual(t, statesOf(t, be, m, nil), statesOf(t, be, m, scaled(one, 0)), one)
		}
		late := adapted(t, "connector", "sharing=none", "task.adaptation_options.first_layer=3")
		require.NotEqual(t, statesOf(t, be, late, nil), statesOf(t, be, adapted(t, "connector", "sharing=none"), nil))
	})
}

// What learns under each adaptation, and how much that is: by the shapes of the model.
func TestWhatLearns(t *testing.T) {
	const layersOf, h, e, f, g = 4, 8, 8, 12, 6
	norms := 2*e + layersOf*2*2*h
	biases := layersOf*(4*h+f+h) + e + layersOf*2*h
	for settings, want := range map[string]int{
		"head": 0, "norms": norms, "bias": biases,
		"lora": layersOf * 2 * (h*4 + 4*h), "lora,rank=2,maps=attention": layersOf * 4 * (h*2 + 2*h),
		"prompt": 10 * e, "prompt,tokens=1": e, "prompt,tokens=0": 0, "prompt,tokens=1,mlp=true": e + 2*(e*e+e),
		"connector": g*h + h,
	} {
		name, options, _ := strings.Cut(settings, ",")
		var set []string
		for option := range strings.SplitSeq(options, ",") {
			if option != "" {
				set = append(set, "task.adaptation_options."+option)
			}
		}
		c := adapted(t, name, set...).Config
		learning := metro.Describe(c, 11).Learning()
		require.Equal(t, want, learning.Count(), settings)
		for _, w := range learning {
			require.True(t, w.ByMain, w.Path())
			require.Equal(t, w.Head == metro.HeadAdapter, strings.HasPrefix(w.Path(), "/main/adapter/"))
			if w.Head == metro.HeadAdapter {
				require.Equal(t, c.Main.Layers+1, w.Depth, "no layer decay")
			}
		}
		require.Equal(t, name == "lora" || name == "prompt" || name == "connector", c.Adapter() == name)
		require.Equal(t, strings.ReplaceAll(settings, ",", ":"), c.Adaptation())
	}
	whole := adapted(t, "").Config
	require.Len(t, metro.Describe(whole, 11).Learning(), len(metro.Describe(whole, 11)))
	require.Empty(t, whole.Adapter())
}

// An adaptation that a config cannot have is refused by the names and numbers of the settings.
func TestAdaptationsThatCannotBe(t *testing.T) {
	for settings, want := range map[string]string{
		"tune":                                        `task.adaptation must be one of ["" "bias" "connector" "head" "lora" "norms" "prompt"], it is "tune"`,
		"prompt,main.feed_forward=moe":                "task.adaptation=prompt puts slots beside the tokens, and main.feed_forward=moe routes tokens alone",
		"connector,main.feed_forward=moe":             "task.adaptation=connector puts slots beside the tokens",
		"lora,rank=9":                                 "task.adaptation_options.rank must be at most main.width (8), it is 9",
		"lora,rank=0":                                 "task.adaptation_options.rank must be in [1,",
		"prompt,tokens=0,mlp=true":                    "task.adaptation_options.tokens=0 has none",
		"connector,generator.width=0":                 "and the model has none",
		"connector,states=2":                          "task.adaptation_options.states must be at most generator.layers (1), it is 2",
		"connector,first_layer=4":                     "leaves 0 of main.layers=4 to put task.adaptation_options.states=1 into; set it to 3 at most",
		"connector,random_generator=true,sharing=all": "under sharing=all it has none",
		"head,rank=3":                                 `adaptation "head" has no options`,
		"lora,tokens=3":                               "has no such option; it has rank, alpha, maps",
	} {
		c := adapted(t, "").Config
		name, rest, _ := strings.Cut(settings, ",")
		var err error
		c.Task.Adaptation = name
		for setting := range strings.SplitSeq(rest, ",") {
			if path, _, _ := strings.Cut(setting, "="); setting != "" && !strings.Contains(path, ".") && path != "sharing" {
				setting = "task.adaptation_options." + setting
			}
			if setting != "" && err == nil {
				err = c.Set(setting)
			}
		}
		if err == nil {
			err = c.Validate()
		}
		require.ErrorContains(t, err, want, settings)
		require.True(t, usererr.Is(err), settings)
	}
	for _, works := range []string{"lora", "norms", "bias", "head"} {
		require.NoError(t, adapted(t, works, "main.feed_forward=moe").Config.Validate())
	}
	c := adapted(t, "lora").Config
	require.ErrorContains(t, c.SetAll("optimizer.layer_decay=0.8"), "task.adaptation leaves the layers as they are")
	require.NoError(t, adapted(t, "").Config.Validate())
	c = adapted(t, "norms").Config
	require.NoError(t, c.SetAll("optimizer.layer_decay=0.8"))
	c.Optimizer.Groups = "main/layer_0/attention: lr=0.5"
	require.ErrorContains(t, c.CheckGroups(metro.Describe(c, 11)), "task.adaptation leaves them as they are")
}
