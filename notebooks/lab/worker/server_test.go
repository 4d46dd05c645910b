// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/training"
	"metrolab/notebooks/lab/internal/wire"
)

// serveAt runs a server of some sources in a folder. ended gets what serve returns.
func serveAt(t *testing.T, folder, sources string, idle time.Duration) (p wire.Place, ended chan error) {
	t.Helper()
	p = wire.Place{Root: "/checkout", Sources: sources}
	p.Socket = filepath.Join(folder, p.Programs()+sources+"-0.socket")
	ended = make(chan error, 1)
	s := newServer(p, idle)
	go func() { ended <- s.serve() }()
	require.Eventually(t, func() bool {
		c, err := net.Dial("unix", p.Socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 10*time.Second, time.Millisecond)
	return p, ended
}

// folder is one whose path is short enough for a socket.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ml-worker-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func left(t *testing.T, p wire.Place, ended chan error) {
	t.Helper()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		require.Fail(t, "it has not left")
	}
	require.NoFileExists(t, p.Socket)
}

func TestLeavesWhenIdle(t *testing.T) {
	p, ended := serveAt(t, folder(t), "a", 50*time.Millisecond)
	left(t, p, ended)
}

// A worker of other sources of the same checkout replaces one, and removes the socket of one that was killed.
func TestOtherSourcesReplace(t *testing.T) {
	dir := folder(t)
	old, ended := serveAt(t, dir, "old", time.Hour)
	dead := filepath.Join(dir, old.Programs()+"dead-0.socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	require.NoError(t, err)
	listener.SetUnlinkOnClose(false)
	require.NoError(t, listener.Close())
	require.FileExists(t, dead)

	next, nextEnded := serveAt(t, dir, "new", time.Hour)
	left(t, old, ended)
	require.Eventually(t, func() bool { _, err := os.Stat(dead); return err != nil }, 10*time.Second, time.Millisecond)
	require.FileExists(t, next.Socket)

	other := filepath.Join(dir, "other.socket") // the same worker, tidied away by somebody and replaced
	require.NoError(t, os.Rename(next.Socket, other))
	stranger, err := net.ListenUnix("unix", &net.UnixAddr{Name: next.Socket, Net: "unix"})
	require.NoError(t, err)
	defer stranger.Close()
	select {
	case err := <-nextEnded:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		require.Fail(t, "it has not left, though nobody can reach it")
	}
	require.FileExists(t, next.Socket, "which is another's")
}

// What goes wrong for a cell is said to it, a panic with the stack.
func TestEnding(t *testing.T) {
	end := ending(func() (string, error) { panic("shapes (2) and (3) differ") })
	require.Regexp(t, `^shapes \(2\) and \(3\) differ\n\ngoroutine \d+ `, end.Panic)
	require.Equal(t, wire.End{Diverged: "at step 3"}, ending(func() (string, error) { return "at step 3", nil }))
	end = ending(func() (string, error) { return "", usererr.New("no such file") })
	require.Equal(t, wire.End{Error: "no such file", User: true}, end)
	require.True(t, ending(func() (string, error) { return "", fmt.Errorf("arm: %w", training.ErrInterrupted) }).Interrupted)
}

func TestPace(t *testing.T) {
	var p pace
	require.True(t, p.due(training.Progress{Step: 0, Steps: 9, Phase: "compiling"}))
	require.True(t, p.due(training.Progress{Step: 1, Steps: 9, Phase: "training"}), "the first step")
	require.False(t, p.due(training.Progress{Step: 2, Steps: 9, Phase: "training"}))
	require.True(t, p.due(training.Progress{Step: 9, Steps: 9, Phase: "training"}), "the last step")
}
