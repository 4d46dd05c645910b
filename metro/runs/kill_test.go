// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
)

// The tests below start this test binary again as another process, which does what this variable names.
const childVariable = "METROLAB_RUNS_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "train":
		steps, _ := strconv.Atoi(os.Args[2])
		if err := train(Store{Root: os.Args[1]}, toyID, steps, func(step int) { fmt.Println(step) }); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "acquire":
		if err := acquireWhenTold(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// child is another process with a pipe to each of its ends.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err *strings.Builder
}

func start(t *testing.T, what string, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := &child{Cmd: exec.CommandContext(t.Context(), self, args...), err: &strings.Builder{}}
	c.Env = append(os.Environ(), childVariable+"="+what)
	c.Stderr = c.err
	c.in, err = c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewReader(out)
	require.NoError(t, c.Start())
	return c
}

// A training process is killed with SIGKILL, again and again, at moments drawn with a fixed seed: after so many steps,
// and then so many times around an empty loop. Each time the next process takes over at once and what is on the disk is
// whole; in the end the run is as if it had never been disturbed.
func TestKillDashNine(t *testing.T) {
	const kills, steps = 24, 4000
	store := Store{Root: t.TempDir()}
	rng := rand.New(rand.NewPCG(1, 2))
	run := &Run{Dir: store.Root + "/" + toyID, store: store.withDefaults()}
	reached := 0
	for kill := range kills {
		c := start(t, "train", store.Root, strconv.Itoa(steps))
		for range 1 + rng.IntN(12) {
			_, err := c.out.ReadString('\n')
			require.NoError(t, err, "kill %d: %s", kill, c.err)
		}
		for spin := rng.IntN(3_000_000); spin > 0; spin-- {
		}
		require.NoError(t, c.Process.Kill())
		_ = c.Wait()

		checkpoints := Checkpoints{Dir: run.Path(CheckpointsDir)}
		last, found, err := checkpoints.Latest(func(dir string, err error) { t.Errorf("kill %d: %s is damaged: %v", kill, dir, err) })
		require.NoError(t, err)
		require.GreaterOrEqual(t, last.Step, reached, "a checkpoint once seen stays")
		reached = last.Step
		if found {
			require.NoError(t, loadState(atomicfile.OS, last))
		}
		rows, err := ReadMetrics(run.Path(MetricsFile))
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(rows), reached)
		for i, row := range rows {
			require.Equal(t, i+1, row.Step)
		}
	}
	t.Logf("%d kills, the last checkpoint is of step %d", kills, reached)
	require.Greater(t, reached, 0)

	end := reached + 2*toyEvery
	require.NoError(t, train(store, toyID, end, nothing))
	require.NoError(t, finished(store, toyID, end))
}

// acquireWhenTold tells whether it won the run, and holds it until its input ends.
func acquireWhenTold(root string) error {
	run, err := Store{Root: root}.Open(toyID)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	lease, err := run.Acquire()
	switch {
	case errors.Is(err, ErrHeld):
		fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
	case err != nil:
		return err
	default:
		fmt.Println("won", lease.Attempt())
	}
	_, _ = io.Copy(io.Discard, in)
	return nil
}

// Six processes want the same run at the same moment. One gets it, the others are told who has it; all are killed, and
// the next six start with nothing to clean up.
func TestProcessesRaceForARun(t *testing.T) {
	store := Store{Root: t.TempDir()}
	_, err := store.Create(toyID, 1)
	require.NoError(t, err)
	for round := 1; round <= 5; round++ {
		var racers []*child
		for range 6 {
			racers = append(racers, start(t, "acquire", store.Root))
		}
		for _, c := range racers {
			_, err := c.out.ReadString('\n')
			require.NoError(t, err, c.err)
		}
		for _, c := range racers {
			_, err := io.WriteString(c.in, "go\n")
			require.NoError(t, err)
		}
		winner, losers := 0, []string{}
		for _, c := range racers {
			answer, err := c.out.ReadString('\n')
			require.NoError(t, err, c.err)
			if answer == fmt.Sprintf("won %d\n", round) {
				require.Zero(t, winner, "round %d has two winners", round)
				winner = c.Process.Pid
			} else {
				losers = append(losers, answer)
			}
		}
		require.NotZero(t, winner, "%s", losers)
		for _, answer := range losers {
			require.Contains(t, answer, fmt.Sprintf("attempt %d, by process %d on ", round, winner))
		}
		found, err := store.List()
		require.NoError(t, err)
		require.Equal(t, Running, found[0].State)
		for _, c := range racers {
			require.NoError(t, c.Process.Kill())
			_ = c.Wait()
		}
		found, err = store.List()
		require.NoError(t, err)
		require.Equal(t, Interrupted, found[0].State)
	}
}

// A killed process that its parent has not waited for is still in the system's table.
func TestKilledButNotBuried(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc that tells a killed process from a running one; run it on Linux")
	}
	store := Store{Root: t.TempDir()}
	run, err := store.Create(toyID, 1)
	require.NoError(t, err)
	c := start(t, "acquire", store.Root)
	_, err = io.WriteString(c.in, "go\n")
	require.NoError(t, err)
	for _, want := range []string{"ready\n", "won 1\n"} {
		got, err := c.out.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.NoError(t, c.Process.Kill())
	for state := ""; state != "Z"; {
		state, _ = procStat(c.Process.Pid)
	}
	lease, err := run.Acquire()
	require.NoError(t, err)
	require.Equal(t, 2, lease.Attempt())
	require.NoError(t, lease.Release())
	_ = c.Wait()
}
