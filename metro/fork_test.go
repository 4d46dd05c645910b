// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
	"metrolab/metro/recipes"
)

// A fork may change what counts from its step on, and is refused the rest with the reason: what the steps before were made
// with, what has no effect any more, and another model.
func TestCheckFork(t *testing.T) {
	const step = 40
	for assignments, want := range map[string]string{
		"":                              "",
		"objective.rtd_weight=10":       "",
		"masking.rate=0.3":              "",
		"masking.rule=80/10/10":         "",
		"replacements.temperature=2":    "",
		"positions.scale=2":             "",
		"main.dropout=0.1":              "",
		"optimizer.learning_rate=1e-4":  "",
		"optimizer.weight_decay=0.1":    "",
		"optimizer.beta2=0.9":           "",
		"training.steps=200":            "",
		"training.accumulate=2":         "",
		"training.matmul=bfloat16":      "",
		"training.log_every=3":          "",
		"evaluation.metrics=tie_cosine": "",
		"objective.clm=weighted":        "",
		"optimizer.warmup_steps=20":     "", // the decay begins earlier

		"seed=3":                        "a fork cannot change seed (3, and 0 in the run",
		"data.seq_len=32":               "a fork cannot change data.seq_len",
		"training.batch_size=16":        "which rows the steps before have read",
		"main.layers=2":                 "a fork cannot change main.layers",
		"main.activation=relu":          "trained in that shape",
		"positions.relative=none":       "a fork cannot change positions.relative",
		"sharing=token":                 "a fork cannot change sharing",
		"evaluation.rows=64":            "measured on other rows",
		"main.init=normal":              "main.init=normal does nothing after step 40: it decides first weights alone",
		"objective.rtd_zero_init=false": "does nothing after step 40",
		"objective.name=rtd":            "the weight /main/clm", // and its head
		"objective.name=rtd_clm_scl":    "the weight /main/scl/norm/gain is new",
		"replacements.source=unigram":   "would be left over",
		"training.generator_steps=30":   "the stages of the steps up to 40 are over",
		"optimizer.schedule=warmup_times_decay optimizer.warmup_steps=30": "optimizer.warmup_steps=30 does nothing after step 40: the learning rate of every step",
	} {
		trunk := recipes.Micro()
		c := trunk
		for _, a := range strings.Fields(assignments) {
			require.NoError(t, c.Set(a))
		}
		if strings.Contains(assignments, "generator_steps") {
			trunk.Sharing, c.Sharing = metro.SharingNone, metro.SharingNone
		}
		err := c.CheckFork(trunk, step)
		if want == "" {
			require.NoError(t, err, assignments)
			continue
		}
		require.ErrorContains(t, err, want, assignments)
	}
}

// A temperature whose schedule is over, and a stage that is, are behind a fork.
func TestCheckForkOfSchedules(t *testing.T) {
	c := recipes.Micro()
	c.Sharing, c.Training.GeneratorSteps = metro.SharingNone, 50
	later := c
	later.Training.GeneratorSteps = 60
	require.NoError(t, later.CheckFork(c, 40))
	require.ErrorContains(t, later.CheckFork(c, 55), "the stages of the steps up to 55 are over")
	copied := c
	copied.Training.CopyGenerator = true
	require.NoError(t, copied.CheckFork(c, 50), "the switch is before step 51")
	require.ErrorContains(t, copied.CheckFork(c, 51), "the second stage has begun after step 50")
}

// The first stage, of prefixes, may go on in a fork as it was or in other ones, or end with it.
func TestCheckForkOfPrefixes(t *testing.T) {
	c := prefixesOf(3, 50)
	for _, change := range []struct {
		set  string
		step int
		want string
	}{
		{"training.prefix_layers=4", 49, ""},
		{"training.prefix_layers=4", 50, "training.prefix_layers=4 does nothing after step 50: the steps after step 50 train the whole model"},
		{"training.prefix_steps=40", 40, ""},
		{"training.prefix_steps=39", 40, "a fork cannot change training.prefix_steps (39, and 50 in the run that it goes on with): the stages of the steps up to 40 are over"},
		{"training.prefix_steps=0", 40, "a fork cannot change training.prefix_steps (0, and 50"},
	} {
		fork := c
		require.NoError(t, fork.Set(change.set))
		if err := fork.CheckFork(c, change.step); change.want == "" {
			require.NoError(t, err, change.set)
		} else {
			require.ErrorContains(t, err, change.want)
		}
	}
}

// Every rule is about fields that there are.
func TestForkRulesNameFields(t *testing.T) {
	paths := recipes.Tiny().Fields()
	for _, prefix := range metro.ForkPrefixes() {
		require.True(t, slices.ContainsFunc(paths, func(f metro.FieldState) bool { return strings.HasPrefix(f.Path, prefix) }), prefix)
	}
}
