// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

func TestRecipesAreValid(t *testing.T) {
	for _, name := range recipes.Names() {
		c, err := recipes.Get(name)
		require.NoError(t, err)
		require.NoError(t, c.Validate(), name)
	}
}

// invalid holds assignments that make a valid config invalid, each alone, and the sentence that says so.
var invalid = map[string]string{
	"data.vocab_size=0":                "data.vocab_size must be positive, it is 0",
	"data.seq_len=3":                   "data.seq_len must be at least 4, it is 3",
	"main.layers=0":                    "main.layers must be positive, it is 0",
	"main.width=-64":                   "main.width must be positive, it is -64",
	"main.heads=0":                     "main.heads must be positive, it is 0",
	"main.heads=3":                     "main.heads must divide main.width, but 3 heads do not divide width 64",
	"main.ffn=0":                       "main.ffn must be positive, it is 0",
	"main.activation=relu":             `main.activation must be "gelu" or "gelu_tanh", it is "relu"`,
	"main.init=zeros":                  `main.init must be one of ["normal" "fan_in"], it is "zeros"`,
	"main.dropout=0.95":                "main.dropout must be in [0, 0.9], it is 0.95",
	"main.dropout=-0.1":                "main.dropout must be in [0, 0.9], it is -0.1",
	"main.epsilon=0":                   "main.epsilon must be in [1e-12, 0.01], it is 0",
	"generator.layers=0":               "generator.layers must be positive, it is 0",
	"generator.width=0":                "generator.width must be positive, it is 0",
	"generator.heads=5":                "generator.heads must divide generator.width, but 5 heads do not divide width 64",
	"generator.ffn=0":                  "generator.ffn must be positive, it is 0",
	"generator.activation=":            `generator.activation must be "gelu" or "gelu_tanh", it is ""`,
	"generator.init=":                  "generator.init must be one of",
	"generator.dropout=1":              "generator.dropout must be in [0, 0.9], it is 1",
	"generator.epsilon=1":              "generator.epsilon must be in [1e-12, 0.01], it is 1",
	"sharing=all":                      `sharing must be one of ["token_position" "none"], it is "all"`,
	"positions.relative=t5":            `positions.relative must be one of ["signed_log" "none"], it is "t5"`,
	"positions.bins=3":                 "positions.bins must be at least 4 and positions.max_distance above bins/4+1, they are 3 and 128",
	"positions.max_distance=9":         "positions.max_distance above bins/4+1, they are 32 and 9",
	"positions.scale=-1":               "positions.scale must be in [0, 10000], it is -1",
	"objective.mask_rate=0":            "objective.mask_rate must be in [0.001, 0.9], it is 0",
	"objective.mask_rate=1":            "objective.mask_rate must be in [0.001, 0.9], it is 1",
	"objective.rtd_weight=-50":         "objective.rtd_weight must be in [0, 1e+06], it is -50",
	"objective.clm_weight=-1":          "objective.clm_weight must be in [0, 1e+06], it is -1",
	"objective.rtd_head=deep":          `objective.rtd_head must be one of ["linear" "projected"], it is "deep"`,
	"objective.generator_head=none":    `objective.generator_head must be one of ["norm" "plain"], it is "none"`,
	"optimizer.learning_rate=-1":       "optimizer.learning_rate must be in [0, 10], it is -1",
	"optimizer.warmup_steps=-1":        "optimizer.warmup_steps must be between 0 and training.steps (1800), it is -1",
	"optimizer.warmup_steps=1801":      "optimizer.warmup_steps must be between 0 and training.steps (1800), it is 1801",
	"optimizer.final_fraction=1.5":     "optimizer.final_fraction must be in [0, 1], it is 1.5",
	"optimizer.beta1=1":                "optimizer.beta1 must be in [0, 0.99999], it is 1",
	"optimizer.beta2=1":                "optimizer.beta2 must be in [0, 0.99999999], it is 1",
	"optimizer.epsilon=0":              "optimizer.epsilon must be in [1e-16, 1], it is 0",
	"optimizer.weight_decay=-0.01":     "optimizer.weight_decay must be in [0, 10], it is -0.01",
	"optimizer.clip_norm=-2":           "optimizer.clip_norm must be in [0, 1e+09], it is -2",
	"training.steps=0":                 "training.steps must be positive, it is 0",
	"training.batch_size=0":            "training.batch_size must be positive, it is 0",
	"training.log_every=0":             "training.log_every must be positive, it is 0",
	"training.eval_every=0":            "training.eval_every must be positive, it is 0",
	"training.checkpoint_every=0":      "training.checkpoint_every must be positive, it is 0",
	"training.keep_checkpoints=0":      "training.keep_checkpoints must be positive, it is 0",
	"evaluation.rows=63":               "evaluation.rows must be at least training.batch_size (64), it is 63",
	"training.batch_size=100000000000": "evaluation.rows must be at least training.batch_size (100000000000)",
}

// tinyOf1800 is Tiny with the numbers that the sentences above quote.
func tinyOf1800() metro.Config {
	c := recipes.Tiny()
	c.Training.Steps, c.Training.BatchSize, c.Optimizer.WarmupSteps = 1800, 64, 90
	return c
}

// Each field out of range is found when it is alone, in a sentence that begins with its path.
func TestEachInvalidFieldIsFound(t *testing.T) {
	tested := map[string]bool{}
	for assignment, want := range invalid {
		c := tinyOf1800()
		require.NoError(t, c.Validate())
		require.NoError(t, c.Set(assignment))
		err := c.Validate()
		require.True(t, usererr.Is(err), "%s: %v", assignment, err)
		require.ErrorContains(t, err, want)
		path, _, _ := strings.Cut(assignment, "=")
		tested[path] = true
	}
	c := metro.Config{}
	for _, path := range c.Paths() {
		if path != "seed" && path != "data.lowercase" {
			require.True(t, tested[path], "the table above lacks %s", path)
		}
	}
}

// All that is wrong is said at once, a line each.
func TestValidateSaysAllAtOnce(t *testing.T) {
	c := tinyOf1800()
	for _, assignment := range []string{"main.heads=3", "sharing=all", "training.log_every=0"} {
		require.NoError(t, c.Set(assignment))
	}
	require.EqualError(t, c.Validate(), strings.Join([]string{invalid["main.heads=3"], invalid["sharing=all"], invalid["training.log_every=0"]}, "\n"))
	require.Greater(t, strings.Count((metro.Config{}).Validate().Error(), "\n"), 20)
}

// What a field that is not in use holds does not matter.
func TestUnusedFieldsMayHoldAnything(t *testing.T) {
	c := tinyOf1800()
	c.Positions = metro.Positions{Relative: metro.RelativeNone}
	require.NoError(t, c.Validate())
}

func TestMaskedPositions(t *testing.T) {
	for _, test := range []struct {
		rate   float64
		length int
		want   int
	}{{0.15, 512, 77}, {0.15, 128, 19}, {0.15, 32, 5}, {0.15, 16, 2}, {0.15, 4, 1}, {0.001, 4, 1}, {0.5, 7, 4}} {
		var c metro.Config
		c.Objective.MaskRate, c.Data.SeqLen = test.rate, test.length
		require.Equal(t, test.want, c.MaskedPositions(), "%g of %d", test.rate, test.length)
	}
}

// inputs are the fields that enter a compiled step as inputs, or only the host looks at. All others are built into it.
var inputs = []string{
	"seed", "data.vocab_size", "data.lowercase", "evaluation.rows",
	"positions.scale", "objective.rtd_weight", "objective.clm_weight",
	"optimizer.learning_rate", "optimizer.warmup_steps", "optimizer.final_fraction",
	"training.steps", "training.log_every", "training.eval_every", "training.checkpoint_every", "training.keep_checkpoints",
}

// Two configs share a compiled step exactly if they differ in nothing but inputs: a key too fine compiles again for
// nothing, a key too coarse trains the wrong model.
func TestGraphKey(t *testing.T) {
	base := recipes.Tiny()
	keys := map[string]string{base.GraphKey(): "the recipe itself"}
	for _, path := range base.Paths() {
		c := base
		require.NoError(t, c.Set(path+"="+another(t, base, path)))
		key := c.GraphKey()
		if slices.Contains(inputs, path) {
			require.Equal(t, base.GraphKey(), key, "%s is an input", path)
			continue
		}
		require.NotContains(t, keys, key, "%s and %s have the same key", path, keys[key])
		keys[key] = path
	}
	require.Len(t, slices.Collect(maps.Keys(keys)), len(base.Paths())-len(inputs)+1)
	c := metro.Config{}
	for _, path := range inputs {
		require.Contains(t, c.Paths(), path)
	}
}
