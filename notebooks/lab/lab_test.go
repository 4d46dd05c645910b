// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/notebooks/lab/internal/wire"
	"metrolab/notebooks/view"
	"metrolab/viz/notebook"
)

// TestMain gives the tests a text, folders and a worker of their own. The worker leaves as soon as its working directory is
// gone.
func TestMain(m *testing.M) {
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		fmt.Println("skipped: there is no kernel, and so no worker, for this system")
		return
	}
	dir, err := os.MkdirTemp("", "ml-lab-")
	if err != nil {
		panic(err)
	}
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, "the %d readers open %d files and close %d of them before noon.\n\n", i%7, i%11, i%5)
	}
	write(filepath.Join(dir, "text.txt"), text.String())
	for name, value := range map[string]string{
		"METROLAB_CORPUS": "text.txt", "METROLAB_CACHE": filepath.Join(dir, "cache"), "METROLAB_RUNS": filepath.Join(dir, "runs"),
		"METROLAB_BACKEND": "go", "XDG_RUNTIME_DIR": dir,
	} {
		os.Setenv(name, value)
	}
	notebook.Dir = filepath.Join(dir, "figures")
	if err := os.Chdir(dir); err != nil {
		panic(err)
	}
	code := m.Run()
	if pid := workerOf(Open()); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func write(path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
}

// workerOf is the process that listens for a lab; 0 if none does.
func workerOf(l *Lab) int {
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range found {
		line, _ := os.ReadFile(path)
		words := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		if len(words) == 4 && words[3] == l.place.Socket {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}

func micro(steps int) metro.Config {
	c := recipes.Micro()
	c.Training.Steps, c.Training.LogEvery, c.Training.CheckpointEvery = steps, 5, 10
	return c
}

// begin has the worker train in the background of the test, and waits until the run is at a step. ended gets what ask returns.
func begin(t *testing.T, ctx context.Context, l *Lab, name string, config metro.Config, step int) (run *runs.Run, ended chan error) {
	t.Helper()
	request, err := wire.TrainRequest(wire.Train, name, config)
	require.NoError(t, err)
	begun := make(chan *runs.Run, 1)
	ended = make(chan error, 1)
	go func() {
		_, err := l.ask(ctx, request, func(r wire.Reply) {
			if r.Run != "" {
				begun <- view.Must(open(r.Run))
			}
		})
		ended <- err
	}()
	select {
	case run = <-begun:
	case err := <-ended:
		require.NoError(t, err)
	}
	for began := time.Now(); run.Summary().Step < step; time.Sleep(20 * time.Millisecond) {
		require.Less(t, time.Since(began), time.Minute)
	}
	return run, ended
}

// The same call finds the finished run, the worker stays, and what was changed in the text since makes another run.
func TestTrainOnce(t *testing.T) {
	l := Open()
	run := l.Train("first", micro(20))
	require.Equal(t, "first", run.Name)
	require.NotEmpty(t, run.Metrics["frozen_auc_unigram"])
	info, err := os.Stat(run.Path(runs.MetricsFile))
	require.NoError(t, err)
	pid := workerOf(l)
	require.NotZero(t, pid)

	again := Open().Train("first", micro(20))
	require.Equal(t, run.ID, again.ID)
	after, err := os.Stat(run.Path(runs.MetricsFile))
	require.NoError(t, err)
	require.Equal(t, info.ModTime(), after.ModTime(), "it was trained again")
	require.Equal(t, pid, workerOf(l))
	require.Equal(t, run.Metrics["val_loss"], view.Open(run.ID).Metrics["val_loss"])

	text, err := os.ReadFile("text.txt")
	require.NoError(t, err)
	write("text.txt", string(text)+"another line that nobody has read before.\n")
	require.NotEqual(t, run.ID, Open().Train("first", micro(20)).ID, "the text is another")
	require.Equal(t, run.ID, l.Train("first", micro(20)).ID, "the text is as the lab has opened it")
	write("text.txt", string(text))
	require.Equal(t, run.ID, Open().Train("first", micro(20)).ID)
	require.Equal(t, pid, workerOf(l))
}

// A worker that is killed loses nothing: the cell says so in a line, and the next one goes on from the last checkpoint.
func TestKilledWorker(t *testing.T) {
	l := Open()
	config := micro(60)
	run, ended := begin(t, t.Context(), l, "killed", config, 15)
	pid := workerOf(l)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.ErrorContains(t, <-ended, "the lab's worker has ended in the middle of it")
	saved, found, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.Latest(nil)
	require.NoError(t, err)
	require.True(t, found)
	require.GreaterOrEqual(t, saved.Step, 10)

	again := Open().Train("killed", config)
	require.Equal(t, run.ID, again.ID)
	require.Equal(t, 60, again.Rows[len(again.Rows)-1].Step)
	require.NotEqual(t, pid, workerOf(l))
}

// An interrupt, and the end of a cell, stop the run at a saved step, and leave the worker and what others do alone.
func TestInterrupt(t *testing.T) {
	l := Open()
	ctx, interrupt := context.WithCancel(t.Context())
	run, ended := begin(t, ctx, l, "interrupted", micro(100_000), 10)
	other, otherEnded := begin(t, t.Context(), l, "other", micro(25), 1)
	interrupt()
	require.ErrorIs(t, <-ended, training.ErrInterrupted)
	state := run.Summary()
	require.Equal(t, runs.Interrupted, state.State)
	saved, found, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.Latest(nil)
	require.NoError(t, err)
	require.True(t, found)
	require.GreaterOrEqual(t, saved.Step, state.Step)
	require.NoError(t, <-otherEnded, "two cells at once")
	require.Equal(t, runs.Finished, other.Summary().State)

	// A cell that is killed says nothing; its half of the connection is closed all the same.
	request, err := wire.TrainRequest(wire.Train, "interrupted", micro(100_000))
	require.NoError(t, err)
	c, err := take(l.place.Socket, request)
	require.NoError(t, err)
	for began := time.Now(); run.Summary().State != runs.Running; time.Sleep(10 * time.Millisecond) {
		require.Less(t, time.Since(began), time.Minute)
	}
	require.NoError(t, c.Close())
	for began := time.Now(); run.Summary().State == runs.Running; time.Sleep(10 * time.Millisecond) {
		require.Less(t, time.Since(began), time.Minute)
	}
	require.Equal(t, runs.Interrupted, run.Summary().State)
}

// view.Stop reaches a run that the worker trains.
func TestStop(t *testing.T) {
	l := Open()
	run, ended := begin(t, t.Context(), l, "stopped", micro(100_000), 5)
	pid := workerOf(l)
	view.Stop(run.ID)
	require.ErrorIs(t, <-ended, training.ErrInterrupted)
	require.Equal(t, pid, workerOf(Open()))
}

// Two cells that find no worker start one.
func TestTwoAtOnce(t *testing.T) {
	l := Open()
	require.NoError(t, syscall.Kill(workerOf(l), syscall.SIGKILL))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			_, err := l.ask(t.Context(), wire.Request{Do: wire.Open}, func(wire.Reply) {})
			require.NoError(t, err)
		})
	}
	group.Wait()
	require.NotZero(t, workerOf(l))
}

// A run in the background outlives the worker, is followed and stopped from elsewhere.
func TestBackground(t *testing.T) {
	l := Open()
	config := micro(100_000)
	run := l.Start("long", config)
	require.Equal(t, runs.Running, run.Summary().State)
	require.Equal(t, run.ID, l.Start("long", config).ID, "a run under way is left alone")
	require.NoError(t, syscall.Kill(workerOf(l), syscall.SIGKILL))
	step := run.Summary().Step
	for began := time.Now(); run.Summary().Step <= step+10; time.Sleep(20 * time.Millisecond) {
		require.Less(t, time.Since(began), time.Minute)
	}
	view.Stop(run.ID)
	require.Equal(t, runs.Interrupted, run.Summary().State)
}

func TestStudy(t *testing.T) {
	study := ablations.Study{
		Name: "weights", Question: "Does it run?", Recipe: "micro", Outcome: ablations.Outcome{Metric: "frozen_auc_unigram", Label: "AUC", Better: ablations.HigherIsBetter},
		Baseline: micro(10), Changes: []ablations.Change{{Name: "RTD weight 10", Set: []string{"objective.rtd_weight=10"}}}, Seeds: []int64{0, 1},
	}
	results := Open().Study(study)
	require.Equal(t, 4, results.Ended())
	require.Len(t, results.Table().Rows, 5, "two arms, and the three scorers that need no model")
	require.FileExists(t, filepath.Join(view.Root(), "weights", ablations.ReportFile))
}

// What goes wrong in the worker goes wrong in the cell.
func TestFailures(t *testing.T) {
	l := Open()
	bad := micro(10)
	bad.Optimizer.WarmupSteps = 20
	request, err := wire.TrainRequest(wire.Train, "bad", bad)
	require.NoError(t, err)
	_, err = l.ask(t.Context(), request, nil)
	require.ErrorContains(t, err, "optimizer.warmup_steps must be between 0 and training.steps (10), it is 20")

	metro.RegisterObjective("of_this_test", 1, func(p *metro.Pass) []metro.Term { return p.GeneratorTerms() })
	own := micro(10)
	own.Objective.Name = "of_this_test"
	request, err = wire.TrainRequest(wire.Train, "own", own)
	require.NoError(t, err)
	_, err = l.ask(t.Context(), request, nil)
	require.ErrorContains(t, err, "objective/of_this_test is a part of the cell's own")

	require.PanicsWithValue(t, "shapes", func() { _ = failure(wire.End{Panic: "shapes"}) })
}
