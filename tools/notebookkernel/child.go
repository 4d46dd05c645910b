// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// guarded starts GoNB in a process group of its own beside a guard, which waits until this program is gone. If it went without
// a word, the guard removes the folder and ends the group: GoNB, its compiler, the cell's program, gopls. It notices by its standard
// input, whose other end only this program holds. A cell's program is asked first, so that one that trains saves.
const guarded = `exec 3<&0
{
	trap '' TERM
	read -r _ <&3 && exit
	rm -rf "$2"
	kill -TERM 0
	sleep 5
	kill -KILL 0
} &
exec gonb --kernel "$1" -go_work="$METROLAB_ROOT" -raw_error </dev/null 3<&-`

// child is GoNB and its guard.
type child struct {
	*exec.Cmd
	guard io.WriteCloser
}

// wait waits for GoNB to end, lets its guard go, and does the guard's work: the program of a cell may wait for an answer that
// GoNB cannot give any more.
func (c child) wait() error {
	err := c.Wait()
	_, _ = io.WriteString(c.guard, "\n")
	group := -c.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	for range 50 {
		if syscall.Kill(group, 0) != nil { // nobody is left in it
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	return err
}

// startGoNB starts GoNB on a connection file. Its standard error is this program's. The gopls that it finds on its PATH is none,
// for it would start one of its own, which outlives it.
func startGoNB(connectionFile, folder string) (c child, err error) {
	bin := filepath.Join(folder, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return c, err
	}
	nothing, err := exec.LookPath("true")
	if err != nil {
		return c, err
	}
	if err := os.Symlink(nothing, filepath.Join(bin, "gopls")); err != nil {
		return c, err
	}
	cmd := exec.Command("bash", "-c", guarded, "gonb", connectionFile, folder)
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Not a pipe of cmd's, which closes it as soon as GoNB has ended.
	read, write, err := os.Pipe()
	if err != nil {
		return c, err
	}
	defer read.Close()
	cmd.Stdin = read
	return child{cmd, write}, cmd.Start()
}
