// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"metrolab/metro/runs"
)

// inTerminal starts a command in a terminal of its own and shows what it prints on the model of one.
func inTerminal(t *testing.T, cmd *exec.Cmd, columns int) (screen *terminal, keyboard *os.File, ended <-chan struct{}) {
	t.Helper()
	keyboard, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	require.NoError(t, err)
	screen = newTerminal(columns)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(screen, keyboard) // ends with an error when the command does
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		keyboard.Close()
	})
	return screen, keyboard, done
}

// A training in a terminal of each width, which is made narrower and wider on the way, and ended by Ctrl-C: one row of
// progress, and nothing of it is left. So it is at the end of another.
func TestTrainingInATerminal(t *testing.T) {
	for _, columns := range []int{60, 80, 100, 140} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			l := newLab(t)
			cmd := l.command(l.pretrain("runs", "go", 5000)...)
			cmd.Env = append(cmd.Env, "TERM=xterm-256color")
			screen, keyboard, ended := inTerminal(t, cmd, columns)
			onScreen := func(words string) bool { return strings.Contains(screen.String(), words) }
			require.Eventually(t, func() bool { return onScreen("loss ") }, time.Minute, 5*time.Millisecond, "%s", screen)
			for _, narrow := range []int{columns - 15, columns - 25, columns} {
				screen.resize(narrow)
				require.NoError(t, pty.Setsize(keyboard, &pty.Winsize{Rows: 24, Cols: uint16(narrow)}))
				time.Sleep(1500 * time.Millisecond)
				require.Equal(t, 1, strings.Count(screen.String(), " left"), "%s", screen)
			}
			_, err := keyboard.WriteString("\x03")
			require.NoError(t, err)
			<-ended
			require.Error(t, cmd.Wait())
			require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), "%s", screen)
			require.True(t, onScreen("stopping after this "), "%s", screen)
			require.False(t, onScreen(" left"), "%s", screen)
			for _, row := range screen.rows() {
				require.NotEqual(t, "C", strings.TrimSpace(row), "%s", screen)
			}
			require.Empty(t, screen.unknown)

			cmd = l.command(l.pretrain("whole", "go", 10)...)
			cmd.Env = append(cmd.Env, "TERM=xterm-256color")
			screen, _, ended = inTerminal(t, cmd, columns)
			<-ended
			require.NoError(t, cmd.Wait(), "%s", screen)
			require.False(t, onScreen("░") || onScreen("compiling"), "%s", screen)
			require.True(t, onScreen("held out"), "%s", screen)
		})
	}
}

// A terminal that cannot move its cursor gets plain lines, and NO_COLOR no colours.
func TestPlainTerminals(t *testing.T) {
	l := newLab(t)
	raw := func(variable string, args ...string) string {
		cmd := l.command(args...)
		cmd.Env = append(cmd.Env, variable)
		f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
		require.NoError(t, err)
		defer f.Close()
		text, _ := io.ReadAll(f) // ends with an error when the command does
		require.NoError(t, cmd.Wait(), "%s", text)
		return string(text)
	}
	text := raw("TERM=dumb", l.pretrain("runs", "go", 10)...)
	require.NotContains(t, text, "\x1b")
	require.Contains(t, text, "training: compiling\r\n")
	require.Contains(t, text, "training: 100%")

	correct := []string{"correct", "--model", l.onlyRun("runs"), "--threshold", "0.000001", "The 3 readers open files."}
	require.Contains(t, raw("TERM=xterm", correct...), "\x1b[31m")
	require.NotContains(t, raw("NO_COLOR=1", correct...), "\x1b[31m")
}

// The same in tmux, where there is one.
func TestTrainingInTmux(t *testing.T) {
	tmux, err := exec.LookPath("tmux")
	if err != nil {
		t.Skip("there is no tmux; apt-get install tmux. TestTrainingInATerminal is the same on a model of a terminal")
	}
	for _, columns := range []int{60, 80, 100, 140} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			l := newLab(t)
			socket := filepath.Join(t.TempDir(), "tmux")
			do := func(args ...string) string {
				t.Helper()
				out, err := exec.Command(tmux, append([]string{"-S", socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
				require.NoError(t, err, "%s", out)
				return string(out)
			}
			line := l.command(l.pretrain("runs", "go", 5000)...)
			do("new-session", "-d", "-x", fmt.Sprint(columns), "-y", "24", "-e", "METROLAB_CACHE="+l.cache, "-c", l.dir,
				"sh", "-c", "trap : INT; "+strings.Join(quoted(line.Args), " ")+"; echo exit $?; sleep 600")
			defer do("kill-server")
			shown := func() string { return do("capture-pane", "-p", "-S", "-") }
			require.Eventually(t, func() bool { return strings.Contains(shown(), "loss ") }, time.Minute, 50*time.Millisecond)
			for _, width := range []int{columns - 15, columns - 25, columns + 10, columns} {
				do("resize-window", "-x", fmt.Sprint(width), "-y", "24")
				time.Sleep(1500 * time.Millisecond)
				require.Equal(t, 1, strings.Count(shown(), " left"), shown())
			}
			do("send-keys", "C-c")
			require.Eventually(t, func() bool { return strings.Contains(shown(), "exit ") }, time.Minute, 50*time.Millisecond, shown())
			text := shown()
			require.Contains(t, text, "exit 130")
			require.NotContains(t, text, " left", text)
			require.NotContains(t, text, "\nC", text)
			checkpoints, err := os.ReadDir(filepath.Join(l.onlyRun("runs"), runs.CheckpointsDir))
			require.NoError(t, err)
			require.NotEmpty(t, checkpoints)
		})
	}
}

func quoted(words []string) (all []string) {
	for _, word := range words {
		all = append(all, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return all
}
