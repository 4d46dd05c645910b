// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/runs"
)

const license = "// SPDX-License-Identifier: Apache-2.0\n\n"

var goBlock = regexp.MustCompile("(?ms)^```go\n(package main\n.*?)^```$")

// The programs of README.md are those of testdata/readme, byte for byte but for the licence's line.
func TestReadmeShowsTestedPrograms(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var shown, tested []string
	for _, block := range goBlock.FindAllStringSubmatch(string(text), -1) {
		shown = append(shown, license+block[1])
	}
	files, err := filepath.Glob("testdata/readme/*/main.go")
	require.NoError(t, err)
	for _, file := range files {
		program, err := os.ReadFile(file)
		require.NoError(t, err)
		tested = append(tested, string(program))
	}
	slices.Sort(shown)
	slices.Sort(tested)
	require.NotEmpty(t, shown)
	require.Equal(t, tested, shown)
}

// readme returns a command that runs one of README's programs in l's folder, with pure Go.
func (l lab) readme(program string, args ...string) *exec.Cmd {
	l.t.Helper()
	path := filepath.Join(l.dir, program)
	if _, err := os.Stat(path); err != nil {
		out, err := exec.Command("go", "build", "-o", path, "./testdata/readme/"+program).CombinedOutput()
		require.NoError(l.t, err, "%s", out)
	}
	cmd := l.command(args...)
	cmd.Path, cmd.Args[0] = path, path
	return cmd
}

func (l lab) readmePrints(program string, args ...string) string {
	l.t.Helper()
	out, err := l.readme(program, args...).CombinedOutput()
	require.NoError(l.t, err, "%s", out)
	return string(out)
}

// A program that registers an objective and calls Main has all of the command, and its objective in it.
func TestReadmeObjective(t *testing.T) {
	l := newLab(t)
	const name = "rtd_flooded"
	require.Contains(t, l.readmePrints("objective", "recipe", "show", "tiny"), name, "among the values of objective.name")
	require.Contains(t, l.readmePrints("objective", "recipe", "show", "tiny", "--set", "objective.name="+name), name)
	l.readmePrints("objective", l.pretrain("runs", "go", 20, "--set", "objective.name="+name)...)

	rows, err := runs.ReadMetrics(filepath.Join(l.onlyRun("runs"), runs.MetricsFile))
	require.NoError(t, err)
	losses := 0
	for _, row := range rows {
		if loss, there := row.Values[name+"_loss"]; there {
			losses++
			require.GreaterOrEqual(t, loss, 0.1, "step %d", row.Step)
		}
	}
	require.NotZero(t, losses)
	config, err := os.ReadFile(filepath.Join(l.onlyRun("runs"), runs.ConfigFile))
	require.NoError(t, err)
	require.Contains(t, string(config), `"objective/`+name+`": 1`, "its version is part of what the run is")

	_, stderr, code := l.metro(l.pretrain("runs", "go", 20, "--set", "objective.name="+name)...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, name, "the command that ships does not have it")
}

// A training from Go leaves the run that the command finds.
func TestReadmeTraining(t *testing.T) {
	l := newLab(t)
	out := strings.TrimSpace(l.readmePrints("training"))
	require.Regexp(t, `runs/micro-[0-9a-f]{10} 0\.[0-9]+$`, out)
	require.FileExists(t, filepath.Join(l.onlyRun("runs"), runs.ResultFile))
	_, _, code := l.metro("pretrain", "--recipe", "micro", "--corpus", "text.txt", "--set", "objective.rtd_weight=10", "--out", "runs", "--backend", "auto")
	require.Zero(t, code)
	l.onlyRun("runs")
}

func TestReadmeBias(t *testing.T) {
	out := newLab(t).readmePrints("bias")
	require.True(t, strings.HasPrefix(out, "[1][1][5][5]float32{"), out)
	require.True(t, strings.HasSuffix(strings.TrimSpace(out), "<nil>"), out)
}
