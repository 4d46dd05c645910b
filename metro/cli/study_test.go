// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/internal/usererr"
)

func TestStudyOfFlags(t *testing.T) {
	f := studyFlags{
		baseline: "tiny", set: []string{"optimizer.learning_rate=1e-3"}, seeds: []int64{7},
		changes: []string{"no bias: positions.relative=none", "objective.rtd_weight=10", `groups: optimizer.groups='main/rtd: lr=2; generator: lr=0.5' main.layers=1`},
		grids:   []string{"optimizer.learning_rate=1e-3,3e-3", "evaluation.metrics=tie_cosine,''"},
	}
	s, err := f.study("bias", "go")
	require.NoError(t, err)
	require.Equal(t, "bias", s.Name)
	require.Equal(t, 1e-3, s.Baseline.Optimizer.LearningRate)
	require.Equal(t, []int64{7}, s.Seeds)
	require.Equal(t, "frozen_auc_unigram", s.Outcome.Metric)
	require.Equal(t, []ablations.Change{
		{Name: "no bias", Set: []string{"positions.relative=none"}},
		{Name: "rtd_weight=10", Set: []string{"objective.rtd_weight=10"}},
		{Name: "groups", Set: []string{"optimizer.groups=main/rtd: lr=2; generator: lr=0.5", "main.layers=1"}},
		{Name: "metrics=tie_cosine", Set: []string{"evaluation.metrics=tie_cosine"}},
		{Name: "learning_rate=3e-3 metrics=tie_cosine", Set: []string{"optimizer.learning_rate=3e-3", "evaluation.metrics=tie_cosine"}},
		{Name: "learning_rate=3e-3", Set: []string{"optimizer.learning_rate=3e-3"}},
	}, s.Changes, "the grid knows the baseline as --set makes it")

	f = studyFlags{baseline: "tiny", set: []string{"positions.scale=100"}, changes: []string{"t5: positions.relative=t5"}, outcome: "val_generator_loss"}
	s, err = f.study("x", "go")
	require.NoError(t, err)
	require.Equal(t, ablations.OutcomeOf("val_generator_loss"), s.Outcome)

	s, err = studyFlags{arms: []string{"RTD weight 10"}, changes: []string{"main.layers=3"}}.study("quickstart", "xla-cpu")
	require.NoError(t, err)
	require.Len(t, s.Changes, 2)
	whole, err := studyFlags{}.study("quickstart", "xla-cpu")
	require.NoError(t, err)
	require.Len(t, whole.Changes, 3)

	text, err := s.YAML()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "mine.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	read, err := studyFlags{}.study(path, "xla-cpu")
	require.NoError(t, err)
	require.Equal(t, s, read)
}

func TestStudyFlagsThatAreWrong(t *testing.T) {
	for says, f := range map[string]studyFlags{
		"there is no recipe":        {baseline: "tyny"},
		"--change and --grid make":  {changes: []string{"main.layers=3"}},
		"before the colon":          {baseline: "tiny", changes: []string{": main.layers=3"}},
		"is not path=value":         {baseline: "tiny", changes: []string{"no bias positions.relative=none"}},
		"sets nothing":              {baseline: "tiny", changes: []string{"no bias:"}},
		"is not closed":             {baseline: "tiny", changes: []string{"a: main.layers='3"}},
		"write path=value,value":    {baseline: "tiny", grids: []string{"main.layers"}},
		"there is a value missing":  {baseline: "tiny", grids: []string{"main.layers=1,,2"}},
		"did you mean":              {baseline: "tiny", grids: []string{"main.layer=1,3"}},
		"changes nothing":           {baseline: "tiny", changes: []string{"main.layers=2"}},
		"has no change \"nothing\"": {baseline: "tiny", arms: []string{"nothing"}},
	} {
		_, err := f.study("x", "go")
		require.True(t, usererr.Is(err), "%s: %v", says, err)
		require.ErrorContains(t, err, says)
	}
	for _, name := range []string{"quickstart", "x.yaml", "a/b"} {
		_, err := studyFlags{baseline: "tiny"}.study(name, "go")
		require.ErrorContains(t, err, "is a study already")
	}
}

// A plan says what is there and what is missing, and starts nothing; times are known once a run of the recipe has ended here.
func TestPlan(t *testing.T) {
	l := newLab(t)
	line := []string{"bias", "--baseline", "micro", "--set", "training.steps=12", "--change", "no bias: positions.relative=none", "--seeds", "0,1", "--corpus", "text.txt"}
	out, said, code := l.inProcess(t.Context(), append([]string{"ablate", "plan"}, line...)...)
	require.Zero(t, code, said)
	require.Contains(t, out, "4 of 4 runs are to be trained: 6.1 k tokens")
	require.Contains(t, out, "no run of micro has ended here")
	require.NotContains(t, out, "at a time")
	require.NoDirExists(t, filepath.Join(l.dir, "runs", "bias"))

	_, said, code = l.inProcess(t.Context(), "pretrain", "--recipe", "micro", "--set", "training.steps=12", "--set", "seed=1", "--corpus", "text.txt")
	require.Zero(t, code, said)
	out, said, code = l.inProcess(t.Context(), append([]string{"ablate", "plan"}, line...)...)
	require.Zero(t, code, said)
	require.Contains(t, out, "3 of 4 runs are to be trained")
	require.Contains(t, out, "at a time")
	require.Contains(t, out, "medians of 1 finished runs of micro")
}
