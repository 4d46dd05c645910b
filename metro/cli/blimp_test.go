// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/metro/minimalpairs"
)

// pairs is a folder of three small paradigms.
func (l lab) pairs() string {
	l.t.Helper()
	dir := filepath.Join(l.dir, "pairs")
	require.NoError(l.t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "minimalpairs", "testdata", "pairs"))))
	return dir
}

// Two seeds of a configuration, all their scorers and all anchors, as a table, as JSON and as a picture.
func TestBlimpOfRuns(t *testing.T) {
	l := newLab(t)
	var models []string
	for seed := range 2 {
		_, stderr, code := l.metro(l.pretrain(fmt.Sprint(seed), "go", 10, "--set", fmt.Sprintf("seed=%d", seed))...)
		require.Zero(t, code, stderr)
		models = append(models, l.onlyRun(fmt.Sprint(seed)))
	}
	stdout, stderr, code := l.metro("blimp", "--model", models[0], "--model", models[1], "--data", l.pairs(), "--output", "blimp.json", "--plot", "blimp.png", "--paradigms")
	require.Zero(t, code, stderr)
	for _, word := range []string{"detector", "clm-masked", "generator", "length (tokens)", "unigram (words)", "trigram (tokens)", "morphology", "binding_1"} {
		require.Contains(t, stdout, word)
	}
	require.Contains(t, stderr, "6 pairs of 3 paradigms, 1 of which are twice the same sentence")
	require.Contains(t, stderr, "passed over in")
	require.Contains(t, stderr, "does not know all tokens of 11 sentences")
	var report minimalpairs.Report
	require.NoError(t, json.Unmarshal([]byte(l.read(filepath.Join(l.dir, "blimp.json"))), &report))
	require.Len(t, report.Models, 2)
	require.Equal(t, "rtd_clm", report.Models[1].Objective)
	require.True(t, report.Corpus.Trained)
	require.Len(t, report.Scorers, 4+5)
	for _, s := range report.Scorers {
		all := s.Groups[0]
		require.Equal(t, s.Anchor, all.Above == nil, s.Name)
		require.Equal(t, s.Anchor, all.Models == nil, s.Name)
		require.Equal(t, minimalpairs.LevelAll, all.Level)
		require.GreaterOrEqual(t, all.Accuracy.Right.Value, all.Accuracy.Wrong.Value)
	}
	require.True(t, strings.HasPrefix(l.read(filepath.Join(l.dir, "blimp.png")), "\x89PNG"))

	// Another text is said to be another, and none leaves the counting out.
	_, stderr, code = l.metro("blimp", "--model", models[0], "--data", filepath.Join(l.dir, "pairs"), "--scorer", "detector", "--corpus", l.write("other.txt", strings.Repeat("Dogs chase cats, and cats chase mice.\n\n", 50)))
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "which is not the text that")
	require.NoError(t, os.Remove(l.text))
	_, stderr, code = l.metro("blimp", "--model", models[0], "--data", filepath.Join(l.dir, "pairs"), "--scorer", "detector")
	require.Equal(t, exitUser, code)
	require.Contains(t, stderr, "for the anchors (--corpus names another, or none)")
	stdout, stderr, code = l.metro("blimp", "--model", models[0], "--data", filepath.Join(l.dir, "pairs"), "--scorer", "detector", "--corpus", "none", "--format", "csv")
	require.Zero(t, code, stderr)
	rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+3*(1+2+3), "detector and two lengths; all, fields and terms")
	require.Equal(t, []string{"detector", "false", "all", "all", "3", "6"}, rows[1][:6])
}

// The table of BabyLM is rehearsed at micro size: four arms are trained and asked, and the predictions lie where its pipeline looks.
func TestBlimpOfAStudy(t *testing.T) {
	l := newLab(t)
	_, stderr, code := l.metro("ablate", "run", "babylm-micro", "--set", "data.corpus="+l.text, "--backend", "go", "--seeds", "0,1", "--set", "training.steps=35",
		"--set", "training.eval_every=35", "--set", "training.checkpoint_every=35", "--set", "evaluation.rows=16", "--set", "optimizer.warmup_steps=2")
	require.Zero(t, code, stderr)
	stdout, stderr, code := l.metro("blimp", "--study", "runs/babylm-micro", "--data", l.pairs(), "--format", "csv", "--predictions", "results", "--output", "arms.json")
	require.Zero(t, code, stderr)
	rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	require.NoError(t, err)
	scorers := map[string][]string{}
	for _, row := range rows[1:] {
		if row[3] == "all" && row[2] == "false" {
			scorers[row[0]] = append(scorers[row[0]], row[1])
		}
	}
	require.Equal(t, map[string][]string{
		"baseline": {"detector", "clm", "clm-masked", "generator"}, "ELECTRA": {"detector", "generator"}, "MLM": {"lm", "lm-masked"}, "Fast-ELECTRA": {"detector", "generator"},
	}, scorers)
	found, err := filepath.Glob(filepath.Join(l.dir, "results", "micro-*", "main", "zero_shot", "*", "blimp", "pairs", "predictions.json"))
	require.NoError(t, err)
	require.Len(t, found, 2*(4+2+2+2))
	var predictions map[string]minimalpairs.Predictions
	require.NoError(t, json.Unmarshal([]byte(l.read(found[0])), &predictions))
	require.Len(t, predictions, 3)
	stdout, stderr, code = l.metro("blimp", "--study", "runs/babylm-micro", "--data", filepath.Join(l.dir, "pairs"), "--scorer", "generator")
	require.Equal(t, exitUser, code, "masked language modelling has none")
	require.Contains(t, stderr, "MLM: ")
	require.Empty(t, stdout)
}

func TestBlimpRefuses(t *testing.T) {
	l := newLab(t)
	electra, pairs := l.folder(), l.pairs()
	bert := filepath.Join(l.dir, "bert")
	require.NoError(t, os.CopyFS(bert, os.DirFS(filepath.Join("..", "hf", "testdata", "bert"))))
	bad := l.write("bad.jsonl", `{"sentence_good": "a", "sentence_bad": "b"}`+"\n{\n")
	for want, args := range map[string][]string{
		"has no head for the scorer clm; it has those for detector, generator": {"--model", electra, "--data", pairs, "--scorer", "clm"},
		`there is no scorer "oracle"; there are detector, clm`:                 {"--model", electra, "--data", pairs, "--scorer", "oracle"},
		"bad.jsonl line 2, no JSON object":                                     {"--model", electra, "--data", bad},
		"1 of 2 lines are no minimal pairs":                                    {"--model", electra, "--data", bad},
		"no minimal pairs: stat":                                               {"--model", electra, "--data", "absent"},
		"have different tokenizers; several --model are the seeds":             {"--model", electra, "--model", bert, "--data", pairs},
		`there is no format "parquet"`:                                         {"--model", electra, "--data", pairs, "--format", "parquet"},
		"is written as PNG":                                                    {"--model", electra, "--data", pairs, "--plot", "x.svg"},
		`--output is "x"`:                                                      {"--model", electra, "--data", pairs, "--output", "x"},
		"old.json is there already, and nothing is overwritten":                {"--model", electra, "--data", pairs, "--output", l.write("old.json", "{}")},
		`required flag(s) "data" not set`:                                      nil,
		"name models by --model, or a study by --study, one of the two":        {"--data", pairs},
		"--plot draws one configuration, and --study asks several":             {"--data", pairs, "--study", "x", "--plot", "x.png"},
		"x is not the folder of a study":                                       {"--data", pairs, "--study", "x"},
	} {
		stdout, stderr, code := l.metro(append([]string{"blimp"}, args...)...)
		require.Equal(t, exitUser, code, stderr)
		require.Contains(t, stderr, want)
		require.Empty(t, stdout)
	}
	_, stderr, code := l.metro("blimp", "--model", electra, "--data", bad, "--skip-bad-rows", "--scorer", "detector")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "they are left out")
	require.Contains(t, stderr, "does not say what it was trained on")
}

// Ctrl-C in the midst of scoring.
func TestBlimpIsInterrupted(t *testing.T) {
	l := newLab(t)
	var many strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&many, `{"sentence_good": "a %d b", "sentence_bad": "%d a b"}`+"\n", i, i)
	}
	cmd := l.command("blimp", "--model", l.folder(), "--data", l.write("many.jsonl", many.String()), "--scorer", "generator")
	problems, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := make([]byte, 0, 1<<16)
	for !strings.Contains(string(said), "does not say what it was trained on") {
		n, err := problems.Read(said[len(said):cap(said)])
		require.NoError(t, err, string(said))
		said = said[:len(said)+n]
	}
	time.Sleep(10 * tick)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	go func() { _, _ = problems.Read(make([]byte, 1<<16)) }()
	_ = cmd.Wait()
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
}
