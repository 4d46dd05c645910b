// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro/runs"
)

// sayings are what a process has said so far.
type sayings struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *sayings) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sayings) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// within waits until the words are said.
func (s *sayings) within(t *testing.T, limit time.Duration, words string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(s.String(), words) }, limit, 5*time.Millisecond, "%q is not in\n%s", words, s)
}

// start starts a command of l and returns what it says.
func start(t *testing.T, cmd *exec.Cmd) *sayings {
	t.Helper()
	said := &sayings{}
	cmd.Stderr = said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return said
}

// stopCodes are the exit codes for the signals that ask a command to end.
var stopCodes = map[os.Signal]int{
	os.Interrupt: exitInterrupted, syscall.SIGTERM: exitPreempted, syscall.SIGUSR1: exitPreempted, syscall.SIGHUP: exitPreempted,
}

// hearHangups lets what is started here hear SIGHUP, also where nohup runs the tests.
func hearHangups(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
}

// Each signal that asks a training to end saves it, and has its exit code. One that timeout and schedulers send twice, at
// once, changes nothing.
func TestSignalsSave(t *testing.T) {
	hearHangups(t)
	for s, code := range stopCodes {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			line := l.pretrain("runs", "go", 5000)
			line[slices.Index(line, "training.checkpoint_every=10")] = "training.checkpoint_every=5000"
			cmd := l.command(line...)
			said := start(t, cmd)
			said.within(t, time.Minute, "training: compiling")
			log := filepath.Join(l.onlyRun("runs"), runs.MetricsFile)
			require.Eventually(t, func() bool { info, err := os.Stat(log); return err == nil && info.Size() > 0 }, time.Minute, 5*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(s))
			if s == syscall.SIGTERM {
				said.within(t, time.Minute, "stopping")
				_ = cmd.Process.Signal(s) // it may have ended
			}
			require.Error(t, cmd.Wait())
			require.Equal(t, code, cmd.ProcessState.ExitCode(), said)
			require.Contains(t, said.String(), "stopping after this ")
			require.Contains(t, said.String(), "run the same command again")
			saved, err := filepath.Glob(filepath.Join(l.onlyRun("runs"), runs.CheckpointsDir, "step-*"))
			require.NoError(t, err)
			require.Len(t, saved, 1, "the step that it was at")
		})
	}
}

// A second signal ends the command at once, in the middle of a step that takes long, with nothing saved and nothing spoilt.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	hearHangups(t)
	for s, code := range stopCodes {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			line := l.pretrain("runs", "go", 3, "--set", "main.width=128", "--set", "optimizer.warmup_steps=0")
			line[slices.Index(line, "training.batch_size=64")] = "training.batch_size=2048"
			cmd := l.command(line...)
			said := start(t, cmd)
			said.within(t, time.Minute, "training: compiling")
			time.Sleep(200 * time.Millisecond) // the first step has begun
			require.NoError(t, cmd.Process.Signal(s))
			said.within(t, time.Second, "stopping after ")
			time.Sleep(echo + 100*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(s))
			second := time.Now()
			require.Error(t, cmd.Wait())
			require.Less(t, time.Since(second), time.Second)
			require.Equal(t, code, cmd.ProcessState.ExitCode(), said)
			require.NotContains(t, said.String(), "run the same command again")
			require.NoDirExists(t, filepath.Join(l.onlyRun("runs"), runs.CheckpointsDir))
		})
	}
}

// nohup's SIGHUP stays ignored.
func TestNohupHolds(t *testing.T) {
	l := newLab(t)
	line := l.command(l.pretrain("runs", "go", 40)...)
	cmd := exec.Command("sh", append([]string{"-c", `trap '' HUP; exec "$@"`, "sh"}, line.Args...)...)
	cmd.Env, cmd.Dir = line.Env, line.Dir
	said := start(t, cmd)
	said.within(t, time.Minute, "training: compiling")
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.NoError(t, cmd.Wait(), said)
}

// Ctrl-C while XLA compiles, which cannot be cut short, is answered at once; a second one ends the program at once, and the
// same command then trains the run as if nothing had been.
func TestInterruptDuringCompilation(t *testing.T) {
	backendtest.XLA(t)
	l := newLab(t)
	line := []string{"pretrain", "--recipe", "tiny", "--corpus", l.text, "--out", "runs", "--backend", "xla", "--set", "training.steps=3", "--set", "optimizer.warmup_steps=0", "--set", "evaluation.rows=64"}
	cmd := l.command(line...)
	said := start(t, cmd)
	said.within(t, time.Minute, "training: compiling")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	said.within(t, time.Second, "stopping after the compilation")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(2 * time.Second):
		t.Fatal("the second Ctrl-C did not end it")
	}
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), said)
	_, again, code := l.metro(line...)
	require.Equal(t, exitDone, code, again)
}
