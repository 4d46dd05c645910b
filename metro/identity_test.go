// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
	"metrolab/metro/recipes"
)

// allInUse is a config, not one to train, in which no field is idle.
func allInUse(t testing.TB) metro.Config {
	t.Helper()
	c := recipes.Tiny()
	for _, assignment := range []string{
		"positions.absolute=true", "objective.name=test_all", "masking.with_replacement=true", "replacements.temperature_schedule=exponential",
		"optimizer.layer_decay=0.75", "training.generator_steps=10", "training.prefix_steps=10", "training.matmul=bfloat16",
	} {
		require.NoError(t, c.Set(assignment))
	}
	return c
}

func init() { // an objective that uses whatever there is
	metro.AddObjective(metro.ObjectiveEntry{
		Part: metro.Part{Name: "test_all", Version: 1, Options: []metro.Option{
			{Name: "sharpness", Neutral: 1.0, Class: metro.ClassInput, Low: 0, High: 100}, {Name: "rounds", Neutral: 2, Low: 1, High: 9},
			{Name: "side", Neutral: "left", Choices: []string{"left", "right"}}, {Name: "twice", Neutral: false},
		}},
		Samples: true, Heads: func(metro.Config) []string { return []string{"rtd", "clm", "lm", "scl"} },
	})
}

// identityOf is the canonical text of what names a run.
func identityOf(t testing.TB, c metro.Config) string {
	t.Helper()
	text, err := json.Marshal(c.Identity())
	require.NoError(t, err)
	return string(text)
}

// How a model grows is part of a run's name where one grows, and nowhere else; that it may grow inexactly decides no number.
func TestTheGrowthNamesTheRun(t *testing.T) {
	c := recipes.Tiny()
	without := identityOf(t, c)
	for _, setting := range []string{"growth.width=aki", "growth.depth=interpolate", "growth.noise=0.1", "growth.optimizer=mapped", "growth.restart_generator=true", "growth.approximate=true"} {
		idle, grown := c, c
		require.NoError(t, idle.Set(setting))
		require.Equal(t, without, identityOf(t, idle), setting)
		grown.Training.InitFrom, grown.Growth.Width = "a", metro.WidthFPI
		before := grown
		require.NotEqual(t, without, identityOf(t, before))
		require.NoError(t, grown.Set(setting))
		require.Equal(t, setting == "growth.approximate=true", identityOf(t, before) == identityOf(t, grown), setting)
		require.Equal(t, c.GraphKey(), grown.GraphKey(), setting)
	}
}

// Each field, flipped alone where all are in use, changes exactly the keys that its class names: a key too fine trains
// again for nothing, a key too coarse takes one run for another.
func TestEachFieldChangesTheKeysOfItsClass(t *testing.T) {
	base := allInUse(t)
	tested := map[metro.Class]int{}
	for _, f := range base.Fields() {
		if f.Path == "task.data" || f.Path == "task.from_scratch" || f.Path == "task.name" || f.Path == "task.pooling" || f.Path == "task.adaptation" {
			continue // see TestTheTaskDecidesWhatIsInUse
		}
		if strings.HasPrefix(f.Path, "growth.") {
			continue // see TestTheGrowthNamesTheRun
		}
		require.True(t, f.InUse, f.Path)
		c := base
		require.NoError(t, c.Set(f.Path+"="+anotherValue(t, base, f)))
		sameGraph, sameRun := c.GraphKey() == base.GraphKey(), identityOf(t, c) == identityOf(t, base)
		switch {
		case f.IsPath: // what lies there counts
			require.True(t, sameGraph, f.Path)
			if f.Path == "data.corpus" {
				require.True(t, sameRun, f.Path)
			}
		case f.Class == metro.ClassGraph:
			require.False(t, sameGraph, "%s is built into the graph", f.Path)
			require.False(t, sameRun, f.Path)
		case f.Class == metro.ClassOperation:
			require.True(t, sameGraph, f.Path)
			require.True(t, sameRun, "%s decides no number", f.Path)
		default:
			require.True(t, sameGraph, "%s is an input", f.Path)
			require.False(t, sameRun, f.Path)
		}
		tested[f.Class]++
	}
	require.Len(t, tested, 4, "there are fields of all classes")
	require.Equal(t, 7, tested[metro.ClassOperation])
}

// anotherValue is [another], for options too.
func anotherValue(t testing.TB, c metro.Config, f metro.FieldState) string {
	t.Helper()
	switch f.Path {
	case "objective.options.sharpness":
		return "2.5"
	case "objective.options.rounds":
		return "3"
	case "objective.options.side":
		return "right"
	case "objective.options.twice":
		return "true"
	}
	return another(t, c, f.Path)
}

// inputs are the fields that enter a compiled step as inputs, or only the host looks at.
var inputs = []string{
	"seed", "data.vocab_size", "data.lowercase", "data.tokenizer", "data.alphabet", "data.longest_word", "data.near_duplicates", "evaluation.rows", "masking.final_rate", "masking.rule", "masking.pattern",
	"replacements.temperature", "replacements.temperature_schedule", "replacements.temperature_decay",
	"positions.scale", "objective.generator_weight", "objective.rtd_weight", "objective.clm_weight", "objective.scl_weight",
	"optimizer.learning_rate", "optimizer.schedule", "optimizer.warmup_steps", "optimizer.final_fraction", "optimizer.bias_correction",
	"training.steps", "training.ema", "training.generator_steps", "training.copy_generator", "training.prefix_steps", "training.prefix_layers",
	"main.init", "main.init_scale", "generator.init", "generator.init_scale", "growth.depth", "growth.noise", "growth.optimizer", "growth.restart_generator", "growth.width", "objective.rtd_zero_init",
	"objective.options.sharpness", "task.from_scratch",
}

func TestInputs(t *testing.T) {
	c := allInUse(t)
	var found []string
	for _, f := range c.Fields() {
		if (f.Class == metro.ClassInput || f.Class == metro.ClassData) && !f.IsPath {
			found = append(found, f.Path)
		}
	}
	slices.Sort(inputs)
	require.Equal(t, inputs, found)
	for _, source := range []string{metro.SourceUnigram, metro.SourceUniform} { // whose graphs have the tokens' frequencies in them
		base := recipes.Tiny()
		base.Replacements.Source = source
		other := base
		other.Data.VocabSize++
		require.NotEqual(t, base.GraphKey(), other.GraphKey())
	}
}

// What the rest of a config makes idle changes nothing.
func TestIdleFieldsChangeNothing(t *testing.T) {
	for setting, idle := range map[string][]string{
		"objective.name=mlm":                         {"generator.width", "generator.dropout", "replacements.temperature", "replacements.dropout", "objective.rtd_weight", "objective.rtd_head", "objective.generator_weight", "objective.clm", "objective.generator_head", "masking.electra_collisions"},
		"objective.name=rtd":                         {"objective.clm_weight", "objective.clm", "objective.scl_weight"},
		"objective.name=rtd_clm":                     {"objective.scl_weight"},
		"positions.relative=none":                    {"positions.bins", "positions.max_distance", "positions.scale", "positions.per_layer"},
		"positions.absolute=false":                   {"positions.rows"},
		"optimizer.layer_decay=1":                    {"optimizer.layer_decay_rule"},
		"training.generator_steps=0":                 {"training.copy_generator"},
		"training.prefix_steps=0":                    {"training.prefix_layers"},
		"training.init_from=a":                       {"data.vocab_size", "data.lowercase", "data.tokenizer", "data.alphabet", "data.longest_word"},
		"replacements.source=uniform":                {"objective.generator_weight", "generator.layers", "objective.generator_head", "replacements.dropout"},
		"replacements.temperature_schedule=constant": {"replacements.temperature_decay"},
		"replacements.temperature_schedule=linear":   {"replacements.temperature_decay"},
		"replacements.source=stored":                 {"generator.layers", "generator.dropout", "replacements.dropout", "replacements.temperature", "replacements.temperature_decay", "replacements.disallow_correct"},
		"masking.with_replacement=false":             {"masking.electra_collisions"},
	} {
		base := allInUse(t)
		require.NoError(t, base.Set(setting))
		for _, path := range idle {
			c := base
			require.NoError(t, c.Set(path+"="+another(t, base, path)))
			require.Equal(t, identityOf(t, base), identityOf(t, c), "%s with %s", path, setting)
			require.Equal(t, base.GraphKey(), c.GraphKey(), "%s with %s", path, setting)
		}
	}
}

// A task's run has nothing to do with what pretraining alone uses.
func TestTheTaskDecidesWhatIsInUse(t *testing.T) {
	base := allInUse(t)
	base.Task.Name, base.Training.InitFrom = "families", "runs/a"
	for _, f := range base.Fields() {
		for _, section := range []string{"masking.", "replacements.", "objective.", "generator.", "evaluation."} {
			if strings.HasPrefix(f.Path, section) {
				require.False(t, f.InUse, f.Path)
			}
		}
	}
	scratch, other := base, base
	scratch.Task.FromScratch, other.Task.Data = true, "elsewhere"
	require.NotEqual(t, identityOf(t, base), identityOf(t, scratch))
	require.Equal(t, identityOf(t, base), identityOf(t, other), "the content counts")
}

// A config from before a field existed is read with the field's neutral value, and is the same run.
func TestConfigsFromBeforeAField(t *testing.T) {
	base := recipes.Micro()
	neutral := metro.Neutral()
	for _, f := range base.Fields() {
		if !f.HasNeutral {
			continue
		}
		c := base
		require.NoError(t, c.Set(f.Path+"="+f.Neutral), f.Path)
		text, err := json.Marshal(c)
		require.NoError(t, err)
		var tree map[string]any
		require.NoError(t, json.Unmarshal(text, &tree))
		at, leaf := tree, f.Path
		for section, rest, ok := strings.Cut(leaf, "."); ok; section, rest, ok = strings.Cut(leaf, ".") {
			at, leaf = at[section].(map[string]any), rest
		}
		require.Contains(t, at, leaf)
		delete(at, leaf)
		text, err = json.Marshal(tree)
		require.NoError(t, err)
		var old metro.Config
		require.NoError(t, json.Unmarshal(text, &old))
		require.Equal(t, c, old, f.Path)
		require.NotContains(t, c.Identity(), f.Path, "a neutral field is as if it did not exist")
	}
	require.NoError(t, json.Unmarshal([]byte("{}"), &base))
	require.Equal(t, neutral, base)
}

// Every field that did not exist in the first schema has a neutral value: else older runs could not be read, and equal
// runs would have other names.
func TestNewFieldsHaveNeutralValues(t *testing.T) {
	text, err := os.ReadFile("testdata/config-schema-1.json")
	require.NoError(t, err)
	var first map[string]any
	require.NoError(t, json.Unmarshal(text, &first))
	var paths []string
	var walk func(prefix string, tree map[string]any)
	walk = func(prefix string, tree map[string]any) {
		for name, value := range tree {
			if below, ok := value.(map[string]any); ok {
				walk(prefix+name+".", below)
			} else {
				paths = append(paths, prefix+name)
			}
		}
	}
	walk("", first)
	require.Len(t, paths, 82)
	c := recipes.Tiny()
	for _, f := range c.Fields() {
		require.True(t, f.HasNeutral || slices.Contains(paths, f.Path), "%s needs a neutral value", f.Path)
	}
	var read metro.Config
	require.NoError(t, json.Unmarshal(text, &read))
	require.NoError(t, read.Validate())
	require.Equal(t, recipes.Micro(), read)
}

// Options are values: copies do not share them, equal ones are equal however they came about, and neutral ones vanish.
func TestOptionsAreValues(t *testing.T) {
	base := allInUse(t)
	c := base
	require.NoError(t, c.Set("objective.options.sharpness=2.5"))
	require.NoError(t, c.Set("objective.options.side=right"))
	require.True(t, base.Objective.Options.IsZero())
	require.Equal(t, 2.5, c.Option("objective.options.sharpness"))
	require.Equal(t, 2, c.Option("objective.options.rounds"))
	require.Equal(t, []string{"objective.options.sharpness"}, c.InputOptions())
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var back metro.Config
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, c, back)
	require.True(t, c == back)
	require.NoError(t, c.Set("objective.options.sharpness=1"))
	require.NoError(t, c.Set("objective.options.side=left"))
	require.True(t, c == base)
	require.Subset(t, c.Paths(), []string{"objective.options.rounds", "objective.options.twice"})

	for assignment, want := range map[string]string{
		"objective.options.gamma=1":       `objective.options.gamma: objective "test_all" has no such option; it has sharpness, rounds, side, twice`,
		"objective.options.sharpness=200": "objective.options.sharpness must be in [0, 100], it is 200",
		"objective.options.sharpness=a":   `objective.options.sharpness wants a finite number, not "a"`,
		"objective.options.rounds=2.5":    `objective.options.rounds wants a whole number, not "2.5"`,
		"objective.options.side=up":       `objective.options.side must be one of ["left" "right"], it is "up"`,
		"objective.options.twice=often":   `objective.options.twice wants true or false, not "often"`,
		"replacements.options.a=1":        `replacements.options.a: source "joint" has no options`,
	} {
		before := c
		require.EqualError(t, c.Set(assignment), want)
		require.True(t, before == c)
	}
	require.NoError(t, c.Set("objective.options.rounds=5"))
	require.NoError(t, c.Set("objective.name=rtd"))
	require.ErrorContains(t, c.Validate(), `objective.options.rounds: objective "rtd" has no options`)
}

func TestImpossibleOptionsPanic(t *testing.T) {
	for _, option := range []metro.Option{
		{Name: "", Neutral: 1.0}, {Name: "a.b", Neutral: 1.0}, {Name: "a", Neutral: nil}, {Name: "a", Neutral: 1, Class: metro.ClassInput},
		{Name: "a", Neutral: 3.0, Low: 4, High: 5}, {Name: "a", Neutral: "x", Choices: []string{"y"}},
	} {
		require.Panics(t, func() { metro.RegisterObjective("never", 1, nil, option) }, "%+v", option)
	}
	require.NotContains(t, slices.Collect(maps.Values(metro.Choices())), "never")
}
