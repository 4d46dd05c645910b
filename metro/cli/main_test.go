// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// binary is the command under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "metrolab-command-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "metro")
	if out, err := exec.Command("go", "build", "-o", binary, "metrolab/scripts/metro").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("build the command: %v\n%s", err, out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// lab is a folder with a text to train on, a cache and runs of its own.
type lab struct {
	t                *testing.T
	dir, text, cache string
}

func newLab(t *testing.T) lab {
	l := lab{t: t, dir: t.TempDir()}
	l.text, l.cache = filepath.Join(l.dir, "text.txt"), filepath.Join(l.dir, "cache")
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, "the %d readers open %d files and close %d of them before noon.\n\n", i%7, i%11, i%5)
	}
	require.NoError(t, os.WriteFile(l.text, []byte(text.String()), 0o600))
	return l
}

func (l lab) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "METROLAB_CACHE="+l.cache, "METROLAB_BACKEND=go")
	cmd.Dir = l.dir
	return cmd
}

// metro runs the command and returns what it printed and its exit code.
func (l lab) metro(args ...string) (stdout, stderr string, code int) {
	l.t.Helper()
	cmd := l.command(args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// pretrain are the arguments of a run of steps that takes a second or two.
func (l lab) pretrain(out, backend string, steps int, more ...string) []string {
	return append([]string{"pretrain", "--recipe", "micro", "--corpus", l.text, "--out", out, "--backend", backend,
		"--set", fmt.Sprintf("training.steps=%d", steps), "--set", "training.batch_size=64", "--set", "evaluation.rows=64",
		"--set", "training.checkpoint_every=10", "--set", "training.log_every=7", "--set", "training.eval_every=20"}, more...)
}

// onlyRun is the one run in a folder.
func (l lab) onlyRun(out string) string {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.dir, out, "micro-*"))
	require.NoError(l.t, err)
	require.Len(l.t, found, 1)
	return found[0]
}

// state is what must be equal: the last variables and the metrics without timings.
func (l lab) state(run string) (variables string, metrics []string) {
	l.t.Helper()
	c, found, err := runs.Checkpoints{Dir: filepath.Join(run, runs.CheckpointsDir)}.Latest(nil)
	require.NoError(l.t, err)
	require.True(l.t, found)
	text, err := os.ReadFile(filepath.Join(c.Dir, "variables.safetensors"))
	require.NoError(l.t, err)
	rows, err := runs.ReadMetrics(filepath.Join(run, runs.MetricsFile))
	require.NoError(l.t, err)
	for _, row := range rows {
		for _, name := range training.TimingMetrics {
			delete(row.Values, name)
		}
		line, err := json.Marshal(row.Values)
		require.NoError(l.t, err)
		metrics = append(metrics, fmt.Sprintf("%d %s", row.Step, line))
	}
	return string(text), metrics
}

// Train 40 = train 20, kill -9, go on: the real program, variables and metrics to the last bit.
func TestKilledRunGoesOnExactly(t *testing.T) {
	backends := map[string]func(*testing.T){
		"go": func(*testing.T) {}, "xla:cpu": func(t *testing.T) { backendtest.XLA(t) },
	}
	for name, need := range backends {
		t.Run(name, func(t *testing.T) {
			need(t)
			l := newLab(t)
			_, stderr, code := l.metro(l.pretrain("whole", name, 40)...)
			require.Zero(t, code, stderr)

			victim := l.command(l.pretrain("killed", name, 40)...)
			require.NoError(t, victim.Start())
			deadline := time.Now().Add(2 * time.Minute)
			for {
				if seen, _ := filepath.Glob(filepath.Join(l.dir, "killed", "micro-*", runs.CheckpointsDir, "step-00000020")); len(seen) == 1 {
					break
				}
				require.True(t, time.Now().Before(deadline), "no checkpoint at step 20")
				time.Sleep(time.Millisecond)
			}
			require.NoError(t, victim.Process.Kill())
			require.Error(t, victim.Wait())
			require.NoFileExists(t, filepath.Join(l.onlyRun("killed"), runs.ResultFile), "killed too late to prove anything")

			_, stderr, code = l.metro(l.pretrain("killed", name, 40)...)
			require.Zero(t, code, stderr)
			variables, metrics := l.state(l.onlyRun("whole"))
			again, metricsAgain := l.state(l.onlyRun("killed"))
			require.True(t, variables == again, "the variables differ")
			require.Equal(t, metrics, metricsAgain)
		})
	}
}

// Ctrl-C finishes the step, saves, says how to go on, and exits with 130.
func TestInterruptSaves(t *testing.T) {
	l := newLab(t)
	cmd := l.command(l.pretrain("runs", "go", 5000)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	for range 2000 {
		if seen, _ := filepath.Glob(filepath.Join(l.dir, "runs", "micro-*", runs.CheckpointsDir, "step-*")); len(seen) > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Error(t, cmd.Wait())
	require.Equal(t, 130, cmd.ProcessState.ExitCode(), stderr.String())
	require.Contains(t, stderr.String(), "run the same command again")
	listing, _, code := l.metro("runs", "ls")
	require.Zero(t, code)
	require.Contains(t, listing, "interrupted")
}

// Bad input gets one sentence with the path and the numbers, and exit code 2.
func TestBadInput(t *testing.T) {
	l := newLab(t)
	small, empty := filepath.Join(l.dir, "small.txt"), filepath.Join(l.dir, "empty")
	require.NoError(t, os.WriteFile(small, []byte("Only one short paragraph stands here, nothing more than that.\n"), 0o600))
	require.NoError(t, os.Mkdir(empty, 0o700))
	inTheWay := filepath.Join(l.dir, "file")
	require.NoError(t, os.WriteFile(inTheWay, nil, 0o600))
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"missing corpus":             {[]string{"pretrain", "--corpus", "nowhere.txt"}, []string{"nowhere.txt"}},
		"empty folder":               {[]string{"pretrain", "--corpus", empty}, []string{empty}},
		"corpus too small":           {[]string{"pretrain", "--recipe", "micro", "--corpus", small}, []string{small, "too few"}},
		"heads":                      {[]string{"pretrain", "--set", "main.heads=3"}, []string{"main.heads", "3 heads do not divide width 64"}},
		"unknown field":              {[]string{"pretrain", "--set", "objective.rtd_wieght=1"}, []string{`did you mean "objective.rtd_weight"`}},
		"wrong type":                 {[]string{"pretrain", "--set", "training.steps=many"}, []string{"training.steps", "whole number"}},
		"no assignment":              {[]string{"pretrain", "--set", "training.steps"}, []string{"path=value"}},
		"unknown recipe":             {[]string{"pretrain", "--recipe", "huge"}, []string{`no recipe "huge"`, "tiny"}},
		"unknown study":              {[]string{"ablate", "run", "nothing"}, []string{`no study "nothing"`, "quickstart"}},
		"unknown arm":                {[]string{"ablate", "run", "quickstart", "--corpus", l.text, "--arm", "x"}, []string{`no change "x"`}},
		"no study there":             {[]string{"ablate", "report", empty}, []string{empty}},
		"unknown run":                {[]string{"runs", "rm", "tiny-0000000000"}, []string{"tiny-0000000000"}},
		"way out of store":           {[]string{"runs", "rm", "../text.txt"}, []string{"text.txt"}},
		"file in the way":            {[]string{"pretrain", "--recipe", "micro", "--corpus", l.text, "--out", inTheWay}, []string{inTheWay}},
		"resume elsewhere":           {[]string{"pretrain", "--resume", empty, "--out", "elsewhere"}, []string{"--resume", "--out"}},
		"data and the probe's text":  {[]string{"finetune", "--model", empty, "--data", small, "--corpus", small}, []string{"--data", "--corpus"}},
		"unknown flag":               {[]string{"pretrain", "--recpie", "tiny"}, []string{"--recpie", "--help"}},
		"unknown command":            {[]string{"pretain"}, []string{`did you mean "pretrain"`}},
		"unknown command of a group": {[]string{"runs", "lsit"}, []string{"metro runs has no command"}},
		"unknown backend":            {[]string{"doctor", "--backend", "tpu", "--corpus", l.text}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := l.metro(c.args...)
			if name == "unknown backend" { // the doctor says what is wrong instead of failing
				require.Zero(t, code)
				return
			}
			require.Equal(t, 2, code, stderr)
			for _, part := range c.says {
				require.Contains(t, stderr, part)
			}
			require.NotContains(t, stderr, "goroutine", "a stack trace")
		})
	}
	text, err := os.ReadFile(small)
	require.NoError(t, err)
	require.NotEmpty(t, text)
}

// Bytes that are not UTF-8 are replaced and counted, and the command goes on.
func TestInvalidBytesAreCounted(t *testing.T) {
	l := newLab(t)
	bad := filepath.Join(l.dir, "bad.txt")
	require.NoError(t, os.WriteFile(bad, []byte(strings.Repeat("a \xff sentence with one bad byte in it"+strings.Repeat(", again and again", 16)+".\n\n", 400)), 0o600))
	stdout, stderr, code := l.metro("data", "show", bad)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "400 bytes that were not UTF-8 replaced")

	require.NoError(t, os.WriteFile(bad, []byte(strings.Repeat("a \xff sentence with one bad byte in it, again and again.\n\n", 400)), 0o600))
	_, stderr, code = l.metro("data", "show", bad)
	require.Equal(t, 2, code, "so many are another encoding's")
	require.Contains(t, stderr, "400 of 22,400 bytes (1.8 %) are not UTF-8")
}

// A whole study of two arms and two seeds: table, report, CSV, pictures; a second call trains nothing; the report can
// be written again from the runs alone.
func TestStudyEndToEnd(t *testing.T) {
	l := newLab(t)
	args := []string{"ablate", "run", "quickstart", "--corpus", l.text, "--seeds", "0,1", "--set", "training.steps=12",
		"--set", "training.eval_every=6", "--set", "optimizer.warmup_steps=2", "--set", "evaluation.rows=64", "--set", "data.seq_len=16"}
	stdout, stderr, code := l.metro(args...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "no relative position bias")
	require.Contains(t, stdout, "undecided")
	for _, file := range []string{"report.html", "results.csv", "study.json", "forest.png", "frozen_auc_unigram.png"} {
		require.FileExists(t, filepath.Join(l.dir, "runs", "quickstart", file))
	}
	results, err := os.ReadFile(filepath.Join(l.dir, "runs", "quickstart", "results.csv"))
	require.NoError(t, err)
	rows := strings.Split(strings.TrimSpace(string(results)), "\n")
	require.Len(t, rows, 1+2*2)
	require.True(t, strings.HasPrefix(rows[0], "arm,seed,frozen_auc_unigram,"), rows[0])

	before := time.Now()
	again, stderr, code := l.metro(args...)
	require.Zero(t, code, stderr)
	require.Equal(t, stdout, again)
	entries, err := filepath.Glob(filepath.Join(l.dir, "runs", "tiny-*", runs.MetricsFile))
	require.NoError(t, err)
	require.Len(t, entries, 4)
	for _, path := range entries {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.True(t, info.ModTime().Before(before), "%s was written again", path)
	}
	report, stderr, code := l.metro("ablate", "report", "runs/quickstart")
	require.Zero(t, code, stderr)
	require.Contains(t, report, "no relative position bias")
	exports(t, l)
}

// exports writes the study that TestStudyEndToEnd has trained in every form, and reads the numbers back.
func exports(t *testing.T, l lab) {
	t.Helper()
	export := func(format, table string) []byte {
		file := filepath.Join(l.dir, "table."+format)
		_, stderr, code := l.metro("ablate", "export", "runs/quickstart", "--format", format, "--table", table, "--output", file)
		require.Zero(t, code, stderr)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return text
	}
	lines, err := csv.NewReader(bytes.NewReader(export("csv", "runs"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 1+4)
	file := export("parquet", "runs")
	read, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	require.EqualValues(t, 4, read.NumRows())
	names := make([]string, 0, len(lines[0]))
	for _, field := range read.Schema().Fields() {
		names = append(names, field.Name())
	}
	require.Equal(t, lines[0], names)
	rows := make([]parquet.Row, 4)
	n, err := read.RowGroups()[0].Rows().ReadRows(rows)
	require.True(t, err == nil || errors.Is(err, io.EOF), "%v", err)
	require.Equal(t, 4, n)
	for i, row := range rows {
		for _, value := range row {
			cell := lines[1+i][value.Column()]
			switch value.Kind() {
			case parquet.Double:
				number, err := strconv.ParseFloat(cell, 64)
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(number), fmt.Sprint(value.Double()), names[value.Column()]) // NaN too
			default:
				require.Equal(t, cell, strings.TrimPrefix(value.String(), "<null>"), names[value.Column()])
			}
		}
	}
	require.Contains(t, string(export("latex", "verdicts")), "no relative position bias & frozen\\_auc\\_unigram")
	require.Contains(t, string(export("markdown", "costs")), "| no relative position bias |")

	watched, stderr, code := l.metro("ablate", "watch", "runs/quickstart")
	require.Zero(t, code, stderr)
	require.Contains(t, watched, "(pairs alone)")

	trained, err := filepath.Glob(filepath.Join(l.dir, "runs", "tiny-*"))
	require.NoError(t, err)
	_, stderr, code = l.metro("runs", "export", filepath.Base(trained[0]), "--format", "tensorboard", "--output", "events")
	require.Zero(t, code, stderr)
	written, err := filepath.Glob(filepath.Join(l.dir, "events", filepath.Base(trained[0]), "events.out.tfevents.*"))
	require.NoError(t, err)
	require.Len(t, written, 1)
}

// Every command has a help text with an example that starts with the command's own name.
func TestHelpShowsExamples(t *testing.T) {
	var check func(path []string)
	check = func(path []string) {
		c, _, err := root().Find(path)
		require.NoError(t, err)
		require.Contains(t, c.Example, strings.Join(append([]string{"metro"}, path...), " "))
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				check(append(append([]string(nil), path...), sub.Name()))
			}
		}
	}
	check(nil)
}
