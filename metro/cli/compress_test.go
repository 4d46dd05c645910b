// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"metrolab/metro/compress"
)

// A model with matrices of low rank is a model like any; at full rank it is the one that it was made of. What cannot be done leaves
// nothing behind.
func TestCompress(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 10)...)
	require.Equal(t, exitDone, code, said)
	run := l.onlyRun("runs")
	compress := func(out string, more ...string) (string, string, int) {
		return l.inProcess(t.Context(), append([]string{"compress", "--model", run, "--out", out, "--corpus", l.text, "--backend", "go"}, more...)...)
	}
	small := filepath.Join(l.dir, "small")
	stdout, said, code := compress(small, "--rank", "2")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, stdout, "main.layer_0.ffn_in and 1 more  16×32×2")
	require.Contains(t, stdout, "generator's logits                   0")
	_, said, code = l.inProcess(t.Context(), "export", "--model", small, "--out", filepath.Join(l.dir, "again"))
	require.Equal(t, exitDone, code, said)
	stdout, said, code = compress(filepath.Join(l.dir, "whole"), "--method", "svd", "--target", "attention", "--rank", "16")
	require.Equal(t, exitDone, code, said)
	require.Regexp(t, `RTD logits +(0|\d(\.\d)?e-0[789]) `, stdout)

	for message, more := range map[string][]string{
		"take 16 or less":      {"--rank", "17"},
		"is there already":     {"--rank", "2", "--out", small},
		"the method is one of": {"--rank", "2", "--method", "lu"},
		"not \"1\"":            {"--rank", "2", "--layers", "1"},
		"the start is one of":  {"--rank", "2", "--start", "warm"},
		"draws nothing":        {"--rank", "2", "--seed", "3"},
		"there is no folder":   {"--rank", "2", "--out", filepath.Join(l.dir, "nowhere", "x")},
	} {
		out := filepath.Join(l.dir, "refused")
		args := append([]string{"compress", "--model", run, "--corpus", l.text, "--backend", "go"}, more...)
		if message != "is there already" && message != "there is no folder" {
			args = append(args, "--out", out)
		}
		_, said, code := l.inProcess(t.Context(), args...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, message)
		require.NoDirExists(t, out)
	}
}

// A run that has diverged, a folder that is no model and a checkpoint that is not there are refused in a sentence, and nothing is written.
func TestCompressOfNoModel(t *testing.T) {
	l := newLab(t)
	// Decay multiplies the weights by 1 − 10·1 a step, which the checkpoint of step 10 survives.
	_, said, code := l.inProcess(t.Context(), l.pretrain("runs", "go", 40, "--set", "optimizer.learning_rate=10", "--set", "optimizer.warmup_steps=0", "--set", "optimizer.weight_decay=1")...)
	require.Equal(t, exitDiverged, code, said)
	empty := filepath.Join(l.dir, "empty")
	require.NoError(t, os.Mkdir(empty, 0o777))
	for model, message := range map[string]string{
		l.onlyRun("runs"):             "diverged at step",
		empty:                         "is not a run",
		filepath.Join(l.dir, "never"): "is not a run",
		l.onlyRun("runs") + "@39":     "39",
	} {
		out, report := filepath.Join(l.dir, "refused"), filepath.Join(l.dir, "refused.json")
		for _, args := range [][]string{{"compress", "--rank", "2", "--out", out}, {"compress", "study", "--output", report}} {
			_, said, code := l.inProcess(t.Context(), append(args, "--model", model, "--corpus", l.text, "--backend", "go")...)
			require.Equal(t, exitUser, code, said)
			require.Contains(t, said, message)
			require.NoDirExists(t, out)
			require.NoFileExists(t, report)
		}
	}
}

// Three seeds are compressed in every way: a table that fits a terminal, a report and a picture of each scope.
func TestCompressStudy(t *testing.T) {
	l := newLab(t)
	args := []string{"compress", "study", "--corpus", l.text, "--backend", "go", "--ranks", "16", "--target", "attention"}
	for seed := range 3 {
		_, said, code := l.inProcess(t.Context(), l.pretrain(fmt.Sprint(seed), "go", 10, "--set", fmt.Sprintf("seed=%d", seed))...)
		require.Equal(t, exitDone, code, said)
		args = append(args, "--model", l.onlyRun(fmt.Sprint(seed)))
	}
	report, pictures := filepath.Join(l.dir, "ranks.json"), filepath.Join(l.dir, "pictures")
	stdout, said, code := l.inProcess(t.Context(), append(args, "--output", report, "--plot", pictures)...)
	require.Equal(t, exitDone, code, said)
	for line := range strings.Lines(stdout) {
		require.LessOrEqual(t, uniseg.StringWidth(strings.TrimSuffix(line, "\n")), 80, line)
	}
	require.Contains(t, stdout, "the interval is over models")
	var r compress.Report
	require.NoError(t, json.Unmarshal([]byte(l.read(report)), &r))
	require.Len(t, r.Models, 3)
	require.Len(t, r.Variants, 4)
	require.Len(t, r.Chosen, 4)
	for _, v := range r.Variants {
		require.Len(t, v.Each, 3)
		if v.Method == compress.MethodSVD && v.Rank == 16 {
			require.InDelta(t, 0, v.Reported, 1e-3, "full rank is the model as it is")
		}
	}
	require.FileExists(t, filepath.Join(pictures, "ranks-0.png"))

	for message, more := range map[string][]string{
		"take 16 or less":     {"--ranks", "17"},
		"--set-of is":         {"--set-of", "frozen_auc_words"},
		"ends in .json":       {"--output", "ranks.txt"},
		"nothing is overwri":  {"--output", report},
		"are asked for":       {"--rows", "100000"},
		"the method is one o": {"--methods", "lu"},
	} {
		_, said, code := l.inProcess(t.Context(), append([]string{"compress", "study", "--corpus", l.text, "--backend", "go", "--target", "attention", "--model", l.onlyRun("0")}, more...)...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, message)
	}
}
