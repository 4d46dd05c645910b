// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/bench"
)

// quickBench are the arguments of a suite that measures little.
func quickBench(suite, output string, more ...string) []string {
	return append([]string{"bench", suite, "--recipe", "micro", "--backend", "go", "--repeat", "2", "--each", "20ms", "--output", output}, more...)
}

// A report and a picture are left, and nothing is written over; two reports are compared.
func TestBench(t *testing.T) {
	l := newLab(t)
	printed, said, code := l.inProcess(t.Context(), quickBench("step", "old.json")...)
	require.Equal(t, exitDone, code, said)
	for _, part := range []string{"tokens/s", "of matmul", "peak memory", "vocabulary product", "cores", "load", "report:  old.json", "picture: old.png"} {
		require.Contains(t, printed, part)
	}
	before, err := os.ReadFile(filepath.Join(l.dir, "old.json"))
	require.NoError(t, err)

	for _, output := range []string{"old.json", "old"} {
		_, said, code = l.inProcess(t.Context(), quickBench("step", output)...)
		require.Equal(t, exitUser, code, said)
	}
	after, err := os.ReadFile(filepath.Join(l.dir, "old.json"))
	require.NoError(t, err)
	require.Equal(t, before, after)

	_, said, code = l.inProcess(t.Context(), quickBench("step", "new/new.json")...)
	require.Equal(t, exitDone, code, said)
	printed, said, code = l.inProcess(t.Context(), "bench", "compare", "old.json", "new/new.json")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, printed, "new/old")
	require.Contains(t, printed, "n=2")
	printed, said, code = l.inProcess(t.Context(), "bench", "compare", "old.json,new/new.json", "new/new.json")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, printed, "n=4+2")
}

func TestBenchOnACorpus(t *testing.T) {
	l := newLab(t)
	printed, said, code := l.inProcess(t.Context(), quickBench("step", "r.json", "--corpus", l.text, "--set", "training.batch_size=4")...)
	require.Equal(t, exitDone, code, said)
	require.Contains(t, printed, "4 × 16")
	r, err := bench.ReadReport(filepath.Join(l.dir, "r.json"))
	require.NoError(t, err)
	require.Contains(t, r.Cases[0].Text, "text.txt")
}

// What cannot be measured or compared is the user's to mend, before anything is measured.
func TestBenchRefuses(t *testing.T) {
	l := newLab(t)
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "other.json"), []byte("{}"), 0o600))
	for line, want := range map[string]string{
		"bench step --recipe tinny":                          "there is no recipe",
		"bench step --recipe tiny@x":                         "length of rows",
		"bench step --recipe tiny --set main.heads=3":        "main.heads",
		"bench step --recipe tiny --repeat 0":                "--repeat",
		"bench step --recipe tiny --corpus=":                 "empty name",
		"bench step --recipe metro-large++@100000":           "this machine has",
		"bench components --output text.txt":                 ".json",
		"bench scale --recipe micro --axis height":           "there is no size",
		"bench compare nowhere.json other.json":              "nowhere.json",
		"bench compare other.json other.json":                "other.json is no report",
		"bench step --recipe tiny --backend xla:/nowhere.so": "nowhere.so",
	} {
		_, said, code := l.inProcess(t.Context(), strings.Fields(line)...)
		require.Equal(t, exitUser, code, "%s: %s", line, said)
		require.Contains(t, said, want, line)
	}
	require.NoDirExists(t, filepath.Join(l.dir, "bench"))
}

// Ctrl-C leaves what was measured until then.
func TestInterruptedBench(t *testing.T) {
	l := newLab(t)
	cmd := l.command("bench", "step", "--recipe", "micro", "--repeat", "200", "--each", "1ms", "--output", "part.json")
	progress, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(progress)
	for lines.Scan() && !strings.Contains(lines.Text(), "micro") {
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	var said strings.Builder
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
	}
	require.Error(t, cmd.Wait())
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), said.String())
	r, err := bench.ReadReport(filepath.Join(l.dir, "part.json"))
	require.NoError(t, err, said.String())
	require.True(t, r.Interrupted)
	n := len(r.Cases[0].Samples[bench.StepSeconds])
	require.Positive(t, n)
	require.Less(t, n, 200)
}
