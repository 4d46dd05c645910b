// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// A setting that the recipe does not have, an option of a part that another part stands for, has nothing beside it.
func TestSettingsThatTheRecipeHasNot(t *testing.T) {
	c := recipes.Micro()
	require.NoError(t, c.SetAll("main.feed_forward=moe", "objective.name=rtd_clm_scl"))
	text, err := settings(training.RunIdentity{Name: "micro", Config: c}, false).Text(80)
	require.NoError(t, err)
	require.Regexp(t, `main.feed_forward +moe +dense\n`, text)
	require.Regexp(t, `main.feed_forward_options.experts +4\s*\n`, text)
	require.NotContains(t, text, "nil")
}

// One run is forked, shown, compared, extended, checked, damaged and collected, as a reader of the pages would.
func TestRunsCommands(t *testing.T) {
	l := newLab(t)
	do := func(want int, args ...string) string {
		t.Helper()
		stdout, said, code := l.inProcess(t.Context(), args...)
		require.Equal(t, want, code, "%q: %s", args, said)
		return stdout + said
	}
	small := []string{"pretrain", "--recipe", "micro", "--corpus", l.text, "--set", "training.steps=20", "--set", "training.checkpoint_every=10",
		"--set", "training.log_every=5", "--set", "training.eval_every=10"}
	do(exitDone, append(small, "--set", "optimizer.final_fraction=1")...)
	trunk := filepath.Base(l.onlyRun("runs"))

	said := do(exitDone, "pretrain", "--set", "training.fork="+trunk+"@10", "--set", "objective.rtd_weight=10", "--corpus", l.text)
	fork := filepath.Base(modelIn(said))
	require.Contains(t, do(exitUser, "pretrain", "--set", "training.fork="+trunk+"@7", "--corpus", l.text), "it has those of steps 10, 20")
	require.Contains(t, do(exitUser, "pretrain", "--set", "training.fork="+trunk+"@10", "--set", "main.layers=2", "--corpus", l.text), "a fork cannot change main.layers")

	said = do(exitDone, "runs", "show", fork, "--metrics", "loss")
	for _, want := range []string{fork + " forks " + trunk + "@10", "objective.rtd_weight", "step 5", "┤"} {
		require.Contains(t, said, want)
	}
	require.Contains(t, do(exitDone, "runs", "show", trunk), fork+" forks "+trunk+"@10", "who goes on with it")
	require.Contains(t, do(exitUser, "runs", "show", trunk, "--metrics", "los"), "it has measured")
	said = do(exitDone, "runs", "ls", "--metrics", "frozen_auc_unigram")
	require.Contains(t, said, "frozen_auc_unigram")
	require.Contains(t, do(exitUser, "runs", "ls", "--metrics", "val_los"), `no run has a curve of "val_los"; measured are`)
	said = do(exitDone, "runs", "compare", trunk, fork, "--metrics", "val_loss", "--plot", "val.png")
	require.Regexp(t, `objective.rtd_weight +50 +10`, said)
	require.FileExists(t, filepath.Join(l.dir, "val.png"))
	do(exitDone, "runs", "plot", trunk, fork, "--metric", "loss", "--to", "loss.png")
	require.Contains(t, do(exitUser, "runs", "plot", trunk, "--to", "loss.jpg"), "ends in .png")

	said = do(exitDone, "runs", "extend", trunk, "--steps", "25", "--corpus", l.text)
	require.Contains(t, said, "goes on from "+trunk+"@20")
	longer := filepath.Join(l.dir, modelIn(said))
	do(exitDone, append(strings.Split(strings.Replace(strings.Join(small, "\n"), "steps=20", "steps=25", 1), "\n"),
		"--set", "optimizer.final_fraction=1", "--out", "anew")...)
	extended, extendedLog := l.state(longer)
	anew, anewLog := l.state(l.onlyRun("anew"))
	require.True(t, extended == anew, "a run that is extended is the longer run to the bit")
	require.Equal(t, anewLog[len(anewLog)-1], extendedLog[len(extendedLog)-1])

	require.NoError(t, os.RemoveAll(filepath.Join(l.dir, "runs", trunk, runs.CheckpointsDir, "step-00000010")))
	require.Contains(t, do(exitDone, "runs", "checkpoint", trunk+"@10", "--corpus", l.text), "has a checkpoint of step 10")
	require.Contains(t, do(exitDone, "runs", "verify", trunk, "--replay", "10", "--corpus", l.text), "steps 11 to 20, trained again: 2 records, weights and moments are the same to the bit")
	weights := filepath.Join(l.dir, "runs", trunk, runs.CheckpointsDir, "step-00000010", "variables.safetensors")
	text, err := os.ReadFile(weights)
	require.NoError(t, err)
	text[len(text)/3] ^= 4
	require.NoError(t, os.WriteFile(weights, text, 0o600))
	require.Contains(t, do(exitUser, "runs", "verify", trunk), "SHA-256")
	require.NoError(t, os.Rename(filepath.Join(l.dir, "runs", trunk, runs.TokenizerFile), filepath.Join(l.dir, "aside")))
	require.Regexp(t, `tokenizer.json +no tokenizer`, do(exitUser, "runs", "verify", trunk), "one that is gone")
	require.NoError(t, os.Rename(filepath.Join(l.dir, "aside"), filepath.Join(l.dir, "runs", trunk, runs.TokenizerFile)))

	old := time.Now().Add(-30 * 24 * time.Hour)
	stopped := filepath.Join(l.dir, "runs", "micro-0000000000")
	require.NoError(t, os.MkdirAll(stopped, 0o700))
	config, err := os.ReadFile(filepath.Join(l.dir, "runs", trunk, runs.ConfigFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(stopped, runs.ConfigFile), config, 0o600))
	require.NoError(t, os.Chtimes(filepath.Join(stopped, runs.ConfigFile), old, old))
	said = do(exitDone, "runs", "gc", "--finished")
	require.Contains(t, said, "stopped at step 0, in no study")
	require.Contains(t, said, "stay: 1 that others go on with or begin with")
	require.Contains(t, said, "3 runs")
	require.DirExists(t, stopped, "nothing goes without --yes")
	do(exitDone, "runs", "gc", "--yes")
	require.NoDirExists(t, stopped)
	require.DirExists(t, filepath.Join(l.dir, "runs", fork))

	require.Contains(t, do(exitUser, "runs", "extend", trunk, "--steps", "20"), "has 20 steps")
}

// modelIn is the folder that a training names at its end.
func modelIn(said string) string {
	_, after, _ := strings.Cut(said, "model: ")
	dir, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(dir)
}

// A schedule that depends on the length has no longer run that the shorter one is the beginning of.
func TestARunThatCannotBeExtended(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), "pretrain", "--recipe", "micro", "--corpus", l.text, "--set", "training.steps=12", "--set", "training.checkpoint_every=12")
	require.Equal(t, exitDone, code, said)
	_, said, code = l.inProcess(t.Context(), "runs", "extend", filepath.Base(l.onlyRun("runs")), "--steps", "24", "--corpus", l.text)
	require.Equal(t, exitUser, code)
	require.Contains(t, said, "so that both part after step 11")
	require.Contains(t, said, "train 24 steps anew with --set training.steps=24")
}

// A curve fits the terminal, its numbers tell its ends apart, and its line stands between them.
func TestCurveInTheTerminal(t *testing.T) {
	var steps, values []float64
	for i := range 97 {
		steps, values = append(steps, float64(1+5*i)), append(values, 7*math.Exp(-float64(i)/20))
	}
	for width := 60; width <= 140; width += 10 {
		text := curve("loss", steps, values, width)
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		require.Len(t, lines, curveHeight+3)
		widest := 0
		for _, line := range lines {
			widest = max(widest, uniseg.StringWidth(line))
		}
		require.LessOrEqual(t, widest, width, "\n%s", text)
		require.Greater(t, widest, width-12, "\n%s", text)
		require.Contains(t, lines[1], "7.0")
		require.True(t, strings.HasSuffix(lines[len(lines)-1], fmt.Sprint(481)), "\n%s", text)
		require.Equal(t, uniseg.StringWidth(lines[len(lines)-1]), widest, "the axis is as long as the line\n%s", text)
	}
	require.Contains(t, curve("flat", []float64{1, 2}, []float64{3, 3}, 80), "3.000")
}
