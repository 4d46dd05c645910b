// SPDX-License-Identifier: Apache-2.0

package ablations_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/ablations/studies"
	"metrolab/internal/usererr"
)

// everyKey is a file with every key that there is.
const everyKey = `
name: all
question: "What does all of it do: much?"
arms:
  - name: no bias
    set: {positions.relative: none}
  - set: {objective.rtd_weight: 10, finetune.optimizer.layer_decay: 0.8}
  - one_factor: {main.activation: [relu, gelu]}
  - grid:
      optimizer.learning_rate: [1e-3, 3e-3]
      main.layers: [1, 2]
  - ladder:
      - {name: RTD, set: {objective.name: rtd}}
      - {name: and groups, set: {optimizer.groups: "main/rtd: lr=2; generator: lr=0.5"}}
seeds: [3, 1, 4, 5, 9, 2, 6, 8, 7, 10, 11, 12]
matching: tokens
baseline:
  recipe: tiny
  set:
    training.steps: 1200
    replacements.temperature_schedule: exponential
    replacements.temperature_decay: 0.1
    replacements.temperature: 2
outcome:
  metric: val_generator_loss
  label: loss of the generator
  better: lower
margin: 0.02
until: decided
finetune:
  task: families
  steps: 100
  set: {optimizer.learning_rate: 1e-3}
`

func TestParseStudy(t *testing.T) {
	s, err := ablations.ParseStudy("all.yaml", []byte(everyKey))
	require.NoError(t, err)
	require.Equal(t, "What does all of it do: much?", s.Question)
	require.Equal(t, 1200, s.Baseline.Training.Steps)
	require.Equal(t, []int64{3, 1, 4, 5, 9, 2, 6, 8, 7, 10, 11, 12}, s.Seeds)
	require.Equal(t, ablations.MatchTokens, s.Matching)
	require.Equal(t, ablations.Outcome{Metric: "val_generator_loss", Label: "loss of the generator", Better: ablations.LowerIsBetter}, s.Outcome)
	require.Equal(t, &ablations.Finetuning{Task: "families", Steps: 100, Set: []string{"optimizer.learning_rate=1e-3"}}, s.Finetune)
	var names []string
	for _, change := range s.Changes {
		names = append(names, change.Name)
	}
	require.Equal(t, []string{"no bias", "rtd_weight=10 layer_decay=0.8", "activation=relu", "activation=gelu", "learning_rate=1e-3 layers=1", "learning_rate=1e-3",
		"learning_rate=3e-3 layers=1", "learning_rate=3e-3", "RTD", "and groups"}, names)
	require.Equal(t, []string{"objective.name=rtd", "optimizer.groups=main/rtd: lr=2; generator: lr=0.5"}, s.Changes[9].Set)
}

// Every field of a study has a key, which everyKey sets, so that nothing that a study can be is lost in a file.
func TestAFileHoldsAllOfAStudy(t *testing.T) {
	s, err := ablations.ParseStudy("all.yaml", []byte(everyKey))
	require.NoError(t, err)
	value := reflect.ValueOf(s)
	for i := range value.NumField() {
		require.False(t, value.Field(i).IsZero() && value.Type().Field(i).Name != "Fork", "%s: give it a key in studyKeys, and set it in everyKey", value.Type().Field(i).Name)
	}
	requireRoundTrip(t, s)
	forks, err := ablations.ParseStudy("forks.yaml", []byte("name: x\nbaseline: {recipe: tiny}\narms: [set: {objective.rtd_weight: 10}]\nfork: {step: 400}\nseeds: [0]\noutcome: val_loss"))
	require.NoError(t, err)
	require.Equal(t, &ablations.Fork{Step: 400}, forks.Fork, "everyKey has arms that cannot be forks")
	requireRoundTrip(t, forks)
}

func requireRoundTrip(t *testing.T, s ablations.Study) {
	t.Helper()
	text, err := s.YAML()
	require.NoError(t, err)
	again, err := ablations.ParseStudy("again.yaml", text)
	require.NoError(t, err, "%s", text)
	require.Equal(t, s, again, "%s", text)
	twice, err := again.YAML()
	require.NoError(t, err)
	require.Equal(t, string(text), string(twice))
}

// What ships in Go is a file as well.
func TestStudiesThatShipAsFiles(t *testing.T) {
	for _, name := range studies.Names() {
		for _, backend := range []string{"go", "xla-cpu"} {
			s, err := studies.Get(name, backend)
			require.NoError(t, err)
			requireRoundTrip(t, s)
		}
	}
	s, err := studies.Get("quickstart", "xla-cpu")
	require.NoError(t, err)
	s.Recipe = "mine"
	_, err = s.YAML()
	require.True(t, usererr.Is(err), "a baseline of no recipe: %v", err)
}

func TestStudyFilesThatAreWrong(t *testing.T) {
	const whole = "name: x\nbaseline: {recipe: tiny}\nseeds: [0]\noutcome: frozen_auc_unigram\n"
	for text, says := range map[string]string{
		"":                                       "x.yaml is empty",
		"\t":                                     "x.yaml:",
		"[1]":                                    "x.yaml:1: here belongs a mapping, key: value, not a list",
		whole + "qestion: y\n":                   `x.yaml:5: there is no key "qestion" here; did you mean "question"?`,
		whole + "name: y\n":                      `x.yaml:5: "name" stands here twice`,
		whole + "---\nname: y\n":                 "more than one document",
		whole + "question: &a y\n":               "x.yaml:5: anchors and aliases",
		whole + "question: !!str y\n":            "x.yaml:5: tags",
		whole + "question:\n":                    "x.yaml:5: there is no value",
		whole + "question: [y]\n":                "x.yaml:5: here belongs one value, not a list",
		"name: x\n":                              "no baseline",
		"baseline: {recipe: tyny}\n":             "x.yaml:1: there is no recipe",
		"baseline:\n  set: {seed: 1}\n":          "x.yaml:2: the baseline names no recipe",
		"seeds: [one]\n":                         `x.yaml:1: "one" is not a whole number`,
		whole + "arms:\n  - name: y\n":           "x.yaml:6: an arm sets something",
		whole + "arms:\n  - set:\n      a: 1\n":  `x.yaml:7: there is no config field "a"`,
		whole + "arms:\n  - grids: {seed: [1]}":  `x.yaml:6: there is no key "grids" here`,
		whole + "arms:\n  - grid: {mian: [1]}":   "x.yaml:6: there is no config field",
		whole + "arms:\n  - set: {seed: 1}":      "seed of the study's own",
		whole + "finetune: {stesp: 1}":           `did you mean "steps"?`,
		whole + "arms: [{set: {main.heads: 3}}]": "main.heads",
		"name: x\nbaseline:\n  recipe: tiny\n  set:\n    training.steps: 10\n    optimizer.layer_decay_rule: exact\n": "x.yaml:5: optimizer.layer_decay_rule=exact does nothing here",
	} {
		_, err := ablations.ParseStudy("x.yaml", []byte(text))
		require.True(t, usererr.Is(err), "%q: %v", text, err)
		require.ErrorContains(t, err, says, "%q", text)
	}
	_, err := ablations.ReadStudy(filepath.Join(t.TempDir(), "none.yaml"))
	require.True(t, usererr.Is(err))
}

// FuzzParseStudy: whatever a file holds, reading it ends, in a study that is the same when it is written and read again, or
// in the user's error.
func FuzzParseStudy(f *testing.F) {
	f.Add(everyKey)
	f.Add("name: x\nbaseline: {recipe: tiny, set: {replacements.source: uniform, masking.pattern: span, masking.options.p: 0.3}}\nseeds: [0]\noutcome: frozen_auc_unigram\n")
	f.Add("a: &a [*a]\n")
	f.Add("? {a: b}\n: c\n")
	f.Add("name: \"\\x00\"\nquestion: >-\n  two\n  lines\nbaseline: {recipe: micro}\nseeds: [0]\noutcome: {metric: mine, label: ' a ', better: higher}\narms: [{name: '#', set: {data.corpus: '~'}}]\n")
	files, err := filepath.Glob("claims/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ablations.ParseStudy("fuzz.yaml", []byte(text))
		if err != nil {
			require.True(t, usererr.Is(err), "%v", err)
			return
		}
		requireRoundTrip(t, s)
	})
}
