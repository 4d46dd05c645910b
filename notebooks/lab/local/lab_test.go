// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/notebooks/view"
	"metrolab/viz/notebook"
)

// TestMain gives the tests a text and folders of their own. Started again by [Lab.Start], it is the background program.
func TestMain(m *testing.M) {
	if _, ok := ordered(); ok {
		Open()
		panic("the order was not carried out")
	}
	dir, err := os.MkdirTemp("", "metrolab-lab-")
	if err != nil {
		panic(err)
	}
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, "the %d readers open %d files and close %d of them before noon.\n\n", i%7, i%11, i%5)
	}
	corpus := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(corpus, []byte(text.String()), 0o600); err != nil {
		panic(err)
	}
	for name, value := range map[string]string{
		"METROLAB_CORPUS": corpus, "METROLAB_CACHE": filepath.Join(dir, "cache"), "METROLAB_RUNS": filepath.Join(dir, "runs"), "METROLAB_BACKEND": "go",
	} {
		os.Setenv(name, value)
	}
	notebook.Dir = filepath.Join(dir, "figures")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func micro(steps int) metro.Config {
	c := recipes.Micro()
	c.Training.Steps, c.Training.LogEvery, c.Training.CheckpointEvery = steps, 5, 10
	return c
}

// The same call finds the finished run, here and from the view.
func TestTrainOnce(t *testing.T) {
	l := Open()
	run := l.Train("first", micro(20))
	require.Equal(t, "first", run.Name)
	require.NotEmpty(t, run.Metrics["frozen_auc_unigram"])
	info, err := os.Stat(run.Path(runs.MetricsFile))
	require.NoError(t, err)

	again := Open().Train("first", micro(20))
	require.Equal(t, run.ID, again.ID)
	after, err := os.Stat(run.Path(runs.MetricsFile))
	require.NoError(t, err)
	require.Equal(t, info.ModTime(), after.ModTime(), "it was trained again")
	require.Equal(t, run.Metrics["val_loss"], view.Open("first").Metrics["val_loss"])
	require.Len(t, view.Curves("loss", run).Series, 1)

	words, err := l.Reader(run.Dir, tasks.ReaderOptions{}).Correct(t.Context(), "the readers open 4 files", 0.5)
	require.NoError(t, err)
	require.Len(t, words, 5)
}

// A run in the background outlives the call, is followed and stopped from elsewhere, and goes on in the foreground.
func TestBackground(t *testing.T) {
	l := Open()
	config := micro(100_000)
	run := l.Start("long", config)
	require.Equal(t, runs.Running, run.Summary().State)
	require.Equal(t, run.ID, l.Start("long", config).ID, "a run under way is left alone")
	for began := time.Now(); run.Summary().Step < 10; time.Sleep(20 * time.Millisecond) {
		require.Less(t, time.Since(began), time.Minute)
	}
	view.Stop("long")
	state := run.Summary()
	require.Equal(t, runs.Interrupted, state.State)
	require.GreaterOrEqual(t, state.Step, 10)
	c, found, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.Latest(nil)
	require.NoError(t, err)
	require.True(t, found)
	require.GreaterOrEqual(t, c.Step, state.Step, "it has saved")

	short := l.Start("short", micro(30))
	require.Equal(t, 30, view.Follow("short").Rows[len(view.Follow(short.ID).Rows)-1].Step)
}

// A run that is stopped before it has written a line says how many steps were ordered, not "step 0 of 0".
func TestStopAtOnce(t *testing.T) {
	left := func() int {
		folders, err := filepath.Glob(filepath.Join(os.TempDir(), "metrolab-background-*"))
		require.NoError(t, err)
		return len(folders)
	}
	before, l := left(), Open()
	run := l.Start("at-once", micro(100_000))
	require.Equal(t, before, left(), "the program's folder is gone as soon as it runs")
	out := printed(t, func() { view.Stop(run.ID) })
	require.Regexp(t, `^at-once-\w+ has stopped, (before anything was saved of 100000 steps|saved after step \d+ of 100000); the call that began it goes on\n$`, out)
}

// A link that lies where the program will be copied to can be foretold by nobody, and the folder is its owner's alone.
func TestProgramIsKeptInPrivate(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	seen := map[string]bool{}
	for range 3 {
		program, dir, err := keepProgram()
		require.NoError(t, err)
		info, err := os.Lstat(dir)
		require.NoError(t, err)
		require.Equal(t, os.ModeDir|0o700, info.Mode())
		require.Equal(t, dir, filepath.Dir(program))
		file, err := os.Lstat(program)
		require.NoError(t, err)
		require.True(t, file.Mode().IsRegular())
		require.False(t, seen[dir])
		seen[dir] = true
		require.NoError(t, os.RemoveAll(dir))
	}
}

// printed is what f writes to the standard output.
func printed(t *testing.T, f func()) string {
	t.Helper()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	old := os.Stdout
	os.Stdout = write
	defer func() { os.Stdout = old }()
	f()
	require.NoError(t, write.Close())
	text, err := io.ReadAll(read)
	require.NoError(t, err)
	return string(text)
}

func TestStudy(t *testing.T) {
	study := ablations.Study{
		Name: "weights", Question: "Does it run?", Recipe: "micro", Outcome: ablations.Outcome{Metric: "frozen_auc_unigram", Label: "AUC", Better: ablations.HigherIsBetter},
		Baseline: micro(10), Changes: []ablations.Change{{Name: "RTD weight 10", Set: []string{"objective.rtd_weight=10"}}}, Seeds: []int64{0, 1},
	}
	results := Open().Study(study)
	require.Equal(t, 4, results.Ended())
	require.Len(t, results.Table().Rows, 5, "two arms, and the three scorers that need no model")

	dir := filepath.Join(view.Root(), "weights")
	require.FileExists(t, filepath.Join(dir, ablations.ReportFile))
	written := view.Must(ablations.Open(dir))
	require.Equal(t, results.Table(), written.Table())
	require.Len(t, written.Extra.Notes, 6)
	require.Len(t, view.Must(written.Curves("frozen_auc_unigram")).Series, 2)
}
