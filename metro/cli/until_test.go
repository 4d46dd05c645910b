// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/metro/runs"
)

// untilDecided are the arguments of a study until decided of very short runs, whose arm has hardly an effect.
func (l lab) untilDecided(name, out string, more ...string) []string {
	return append([]string{"ablate", "run", name, "--baseline", "micro", "--corpus", l.text, "--out", out, "--backend", "go", "--jobs", "1",
		"--change", "more masks: masking.rate=0.16",
		"--set", "training.steps=6", "--set", "evaluation.rows=16", "--set", "optimizer.warmup_steps=1", "--set", "main.ffn=4", "--set", "generator.ffn=4",
		"--outcome", "val_generator_loss", "--until", "decided"}, more...)
}

// A study until decided gives an undecided arm as many seeds as it may have, and a decided one as many as that took. Interrupted
// and asked for again it ends in the same table. What is not the plan that was written down is refused, and so is a plan that
// was altered.
func TestUntilDecidedOfTheCommand(t *testing.T) {
	l := newLab(t)
	const name = "masks"
	said, stderr, code := l.metro(l.untilDecided(name, "whole", "--max-seeds", "7")...)
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "2 arms × until decided, at most 7 seeds")
	require.Regexp(t, `more masks .* 7  undecided`, said)
	table := l.columns("whole", name)
	require.Len(t, table, 1+2*7)

	stopped := l.command(l.untilDecided(name, "stopped", "--max-seeds", "7")...)
	stoppedSaid := start(t, stopped)
	require.Eventually(t, func() bool {
		ended, _ := filepath.Glob(filepath.Join(l.dir, "stopped", "micro-*", runs.ResultFile))
		return len(ended) >= 3
	}, time.Minute, time.Millisecond)
	require.NoError(t, stopped.Process.Signal(syscall.SIGINT))
	require.Error(t, stopped.Wait())
	require.Equal(t, exitInterrupted, stopped.ProcessState.ExitCode(), stoppedSaid)
	require.Less(t, len(l.columns("stopped", name)), len(table))
	_, stderr, code = l.metro(l.untilDecided(name, "stopped", "--max-seeds", "7")...)
	require.Zero(t, code, stderr)
	require.Equal(t, table, l.columns("stopped", name))

	// The same runs and an arm that hardly learns, asked for more than differences.
	said, stderr, code = l.metro(l.untilDecided("margin", "whole", "--max-seeds", "9", "--margin", "0.05", "--change", "hardly: optimizer.learning_rate=1e-6")...)
	require.Zero(t, code, stderr)
	require.Regexp(t, `more masks .* 7  equivalent within ±0.05`, said)
	require.Regexp(t, `hardly .* 7  worse`, said)
	require.Contains(t, stderr, "14 of 21 runs had ended before")
	require.Len(t, l.columns("whole", "margin"), 1+3*7)

	for want, line := range map[string][]string{
		"planned with a margin of equivalence of 0": l.untilDecided(name, "whole", "--max-seeds", "7", "--margin", "0.05"),
		"here seed 6 is left out":                   l.untilDecided(name, "whole", "--max-seeds", "6"),
		"other arms":                                l.untilDecided(name, "whole", "--max-seeds", "7", "--change", "objective.rtd_weight=10"),
		"was planned to go on until it is decided":  without(l.untilDecided(name, "whole", "--seeds", "0,1,2,3,4,5,6"), "--until", "decided"),
	} {
		_, stderr, code := l.metro(line...)
		require.Equal(t, exitUser, code, "%s: %s", want, stderr)
		require.Contains(t, stderr, want)
	}
	plan := filepath.Join(l.dir, "whole", name, ablations.PlanFile)
	text, err := os.ReadFile(plan)
	require.NoError(t, err)
	other := regexp.MustCompile(`"hash": "[0-9a-f]{64}"`).ReplaceAllString(string(text), `"hash": "`+strings.Repeat("0", 64)+`"`)
	require.NotEqual(t, string(text), other)
	require.NoError(t, os.WriteFile(plan, []byte(other), 0o600))
	_, stderr, code = l.metro(l.untilDecided(name, "whole", "--max-seeds", "7")...)
	require.Equal(t, exitUser, code, stderr)
	require.Contains(t, stderr, "was altered after it was written")
}

// without is a command line without some of its words, which stand one after the other.
func without(line []string, words ...string) []string {
	return strings.Split(strings.Replace(strings.Join(line, "\n"), "\n"+strings.Join(words, "\n"), "", 1), "\n")
}

// What does not go together is refused before anything is trained.
func TestUntilDecidedThatIsWrong(t *testing.T) {
	l := newLab(t)
	for want, line := range map[string][]string{
		`a study goes on until "decided"`:   append(without(l.untilDecided("masks", "runs"), "--until", "decided"), "--until", "sure"),
		"--max-seeds is for --until":        append(without(l.untilDecided("masks", "runs"), "--until", "decided"), "--max-seeds", "8"),
		"no verdict comes before 6":         l.untilDecided("masks", "runs", "--max-seeds", "5"),
		"has 0 seeds":                       l.untilDecided("masks", "runs", "--max-seeds", "-1"),
		"share it with --claim":             l.untilDecided("masks", "runs", "--shard", "1/2"),
		"is compared by ranks":              append(without(l.untilDecided("masks", "runs"), "--outcome", "val_generator_loss"), "--outcome", "tokens_to:val_generator_loss=5"),
		"a margin of equivalence is a size": l.untilDecided("masks", "runs", "--margin", "-0.01"),
		"invalid argument \"little\"":       l.untilDecided("masks", "runs", "--margin", "little"),
	} {
		_, said, code := l.inProcess(t.Context(), line...)
		require.Equal(t, exitUser, code, "%s: %s", want, said)
		require.Contains(t, said, want)
		require.Equal(t, 1, strings.Count(strings.TrimSpace(said), "metro: "), "one sentence: %s", said)
	}
	require.NoDirExists(t, filepath.Join(l.dir, "runs", "masks"))
}
