// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
)

// often is how many times something is tried: few times in every test run, and many in "scripts/test --long".
func often(few, many int) int {
	if os.Getenv("METROLAB_TEST_LONG") != "" {
		return many
	}
	return few
}

// study are the arguments of a study of six short runs.
func (l lab) study(out string, more ...string) []string {
	return append([]string{"ablate", "run", "aa-micro", "--corpus", l.text, "--out", out, "--backend", "go", "--seeds", "0,1,2",
		"--set", "training.steps=20", "--set", "training.eval_every=10", "--set", "training.checkpoint_every=5",
		"--set", "evaluation.rows=16", "--set", "optimizer.warmup_steps=2"}, more...)
}

// columns are those of a study's table that do not tell how long something took or how much memory, as their bytes.
func (l lab) columns(out, study string) (rows []string) {
	l.t.Helper()
	file, err := os.Open(filepath.Join(l.dir, out, study, ablations.ResultsFile))
	require.NoError(l.t, err)
	defer file.Close()
	table, err := csv.NewReader(file).ReadAll()
	require.NoError(l.t, err)
	for _, row := range table {
		var kept []string
		for i, cell := range row {
			if name := table[0][i]; !slices.Contains([]string{"seconds", "processor_seconds", "memory"}, name) && !metrics.Of(name).Timing {
				kept = append(kept, cell)
			}
		}
		rows = append(rows, strings.Join(kept, ","))
	}
	return rows
}

// requireSameStudy compares two folders of runs: the tables' columns of what was measured byte for byte, and the runs' last
// variables and metrics.
func (l lab) requireSameStudy(whole, again string) {
	l.t.Helper()
	require.Len(l.t, l.columns(whole, "aa-micro"), 1+6)
	require.Equal(l.t, l.columns(whole, "aa-micro"), l.columns(again, "aa-micro"))
	results, err := ablations.Open(filepath.Join(l.dir, whole, "aa-micro"))
	require.NoError(l.t, err)
	for _, run := range results.Runs {
		variables, metrics := l.state(filepath.Join(l.dir, whole, run.ID))
		variablesAgain, metricsAgain := l.state(filepath.Join(l.dir, again, run.ID))
		require.True(l.t, variables == variablesAgain, "the variables of %s differ", run.ID)
		require.Equal(l.t, metrics, metricsAgain, run.ID)
	}
}

// A study that is killed again and again, at moments drawn with a fixed seed from the first half of the time that it takes here
// and now, ends in the runs and the table of one that is not; the first time it is told to end, and saves. Whenever one has
// ended, the next is begun.
func TestKilledStudyEndsTheSame(t *testing.T) {
	l := newLab(t)
	began := time.Now()
	_, stderr, code := l.metro(l.study("whole")...)
	require.Zero(t, code, stderr)
	takes := time.Since(began)

	moments := rand.New(rand.NewPCG(10, 0))
	kills, inRuns, want := 0, 0, often(10, 100)
	for study := 1; kills < want; study++ {
		out := fmt.Sprint("killed-", study)
		for ended := false; !ended && kills < want; {
			victim := l.command(l.study(out)...)
			require.NoError(t, victim.Start())
			time.Sleep(100*time.Millisecond + time.Duration(moments.Int64N(int64(takes/2))))
			held := l.heldBy(out, victim.Process.Pid)
			how := syscall.SIGKILL
			if kills == 0 {
				how = syscall.SIGTERM
			}
			_ = victim.Process.Signal(how)
			if ended = victim.Wait() == nil; !ended {
				kills++
				if held != "" {
					inRuns++
				}
			}
			if how == syscall.SIGTERM && !ended {
				require.Equal(t, exitPreempted, victim.ProcessState.ExitCode())
			}
		}
		_, stderr, code = l.metro(l.study(out)...)
		require.Zero(t, code, stderr)
		l.requireSameStudy("whole", out)
		t.Logf("%d kills, %d of them within a run; study %d ends the same", kills, inRuns, study)
	}
	t.Logf("the study takes %v by itself", takes)
	require.Positive(t, inRuns)
}

// Two processes share a study by claiming its runs. One is stopped in the middle of a run, or of a write, for longer than its
// lease; the other takes that run over and finishes the study. The first one wakes up, and changes nothing.
func TestStoppedClaimerLosesItsRun(t *testing.T) {
	l := newLab(t)
	_, stderr, code := l.metro(l.study("whole")...)
	require.Zero(t, code, stderr)

	moments := rand.New(rand.NewPCG(11, 0))
	for round := range often(1, 12) {
		out := fmt.Sprint("claimed-", round)
		claim := l.study(out, "--claim", "--lease", "2s", "--jobs", "1")
		sleeper, other := l.command(claim...), l.command(claim...)
		sleeperSaid := start(t, sleeper)
		var held string
		require.Eventually(t, func() bool {
			held = l.heldBy(out, sleeper.Process.Pid)
			return held != ""
		}, time.Minute, time.Millisecond)
		time.Sleep(time.Duration(moments.IntN(300)) * time.Millisecond)
		require.NoError(t, sleeper.Process.Signal(syscall.SIGSTOP))
		held = l.heldBy(out, sleeper.Process.Pid) // now; perhaps none
		otherSaid := start(t, other)
		require.NoError(t, other.Wait(), otherSaid)
		l.requireSameStudy("whole", out)
		left := map[string]string{}
		if held != "" {
			left = contents(t, held)
			require.Contains(t, otherSaid.String(), "waiting for 1 runs")
		}
		require.NoError(t, sleeper.Process.Signal(syscall.SIGCONT))
		require.NoError(t, sleeper.Wait(), sleeperSaid)
		l.requireSameStudy("whole", out)
		if held != "" {
			require.Equal(t, left, contents(t, held), sleeperSaid)
		}
		t.Logf("stopped while it held %q", filepath.Base(held))
	}
}

// heldBy is the folder of the run that a process holds; empty if none.
func (l lab) heldBy(out string, pid int) string {
	leases, err := filepath.Glob(filepath.Join(l.dir, out, "*", "attempts", "*", "lease.json"))
	require.NoError(l.t, err)
	for _, path := range leases {
		var lease struct {
			PID      int  `json:"pid"`
			Released bool `json:"released"`
		}
		if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &lease) == nil && lease.PID == pid && !lease.Released {
			return filepath.Dir(filepath.Dir(filepath.Dir(path)))
		}
	}
	return ""
}

// contents are the files of a run's folder, but for the tokenizer, which a run that begins anew writes as it was.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == runs.TokenizerFile {
			return err
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	}))
	return found
}

// A study in three shards is the study; a shard in which a run diverges has the exit code of divergence.
func TestShardsOfTheCommand(t *testing.T) {
	l := newLab(t)
	_, stderr, code := l.metro(l.study("whole", "--jobs", "2")...)
	require.Zero(t, code, stderr)
	for _, shard := range []string{"2/3", "3/3", "1/3"} {
		_, stderr, code := l.metro(l.study("shards", "--shard", shard)...)
		require.Zero(t, code, stderr)
		require.Contains(t, stderr, "1 of 2: ")
	}
	l.requireSameStudy("whole", "shards")
	_, stderr, code = l.metro(l.study("shards")...) // all are there
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "6 of 6 runs had ended before")

	diverging := l.study("diverged", "--set", "optimizer.learning_rate=10", "--set", "optimizer.weight_decay=10", "--shard", "1/6")
	diverging[slices.Index(diverging, "optimizer.warmup_steps=2")] = "optimizer.warmup_steps=0"
	diverging[slices.Index(diverging, "training.steps=20")] = "training.steps=40"
	_, stderr, code = l.metro(diverging...)
	require.Equal(t, exitDiverged, code, stderr)
	require.Contains(t, stderr, "baseline, seed 0: ")
	require.FileExists(t, filepath.Join(l.dir, "diverged", "aa-micro", ablations.ReportFile))

	for want, more := range map[string][]string{
		"leave one of the two out": {"--shard", "1/2", "--claim"},
		"the second of six is 2/6": {"--shard", "3/2"},
		"give --shard or --claim":  {"--lease", "5s"},
		"too short":                {"--claim", "--lease", "5ms"},
		"number of runs at a time": {"--jobs", "-1"},
	} {
		_, stderr, code := l.metro(l.study("wrong", more...)...)
		require.Equal(t, exitUser, code, stderr)
		require.Contains(t, stderr, want)
	}
}

// A forked study that is killed in a trunk before its arms leave it, and again in an arm, ends in the runs and the table of one
// that is not.
func TestKilledForksEndTheSame(t *testing.T) {
	l := newLab(t)
	file := l.write("branches.yaml", `
name: branches
question: Does a heavier RTD help from step 10 on?
baseline: {recipe: micro, set: {training.steps: 20, training.eval_every: 10, training.checkpoint_every: 4, evaluation.rows: 16}}
arms:
  - {name: heavier RTD, set: {objective.rtd_weight: 100}}
seeds: [0, 1]
outcome: frozen_auc_unigram
fork: {step: 10}
`)
	study := func(out string) []string {
		return []string{"ablate", "run", file, "--corpus", l.text, "--out", out, "--backend", "go", "--jobs", "1"}
	}
	_, stderr, code := l.metro(study("whole")...)
	require.Zero(t, code, stderr)
	whole, err := ablations.Open(filepath.Join(l.dir, "whole", "branches"))
	require.NoError(t, err)
	trunk, arm := whole.Runs[0], whole.Runs[1]
	require.Equal(t, "heavier RTD", arm.Arm)
	for _, at := range [][2]string{{trunk.ID, "step-00000004"}, {arm.ID, "step-00000012"}} {
		victim := l.command(study("killed")...)
		said := start(t, victim)
		require.Eventually(t, func() bool {
			_, err := os.Stat(filepath.Join(l.dir, "killed", at[0], runs.CheckpointsDir, at[1]))
			return err == nil
		}, time.Minute, time.Millisecond)
		require.NoError(t, victim.Process.Kill())
		require.Error(t, victim.Wait(), said)
		require.NoFileExists(t, filepath.Join(l.dir, "killed", at[0], runs.ResultFile), "killed too late to prove anything")
	}
	_, stderr, code = l.metro(study("killed")...)
	require.Zero(t, code, stderr)
	require.Equal(t, l.columns("whole", "branches"), l.columns("killed", "branches"))
	for _, run := range whole.Runs {
		variables, metrics := l.state(filepath.Join(l.dir, "whole", run.ID))
		variablesAgain, metricsAgain := l.state(filepath.Join(l.dir, "killed", run.ID))
		require.True(t, variables == variablesAgain, "the variables of %s differ", run.ID)
		require.Equal(t, metrics, metricsAgain, run.ID)
	}
}
