// SPDX-License-Identifier: Apache-2.0

//go:build unix

package wire

import (
	"encoding/json"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/training"
)

// The folder of the sockets is its owner's alone, or refused.
func TestFolderIsPrivate(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", parent)
	dir, err := Folder()
	require.NoError(t, err)
	info, err := os.Lstat(dir)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())
	again, err := Folder()
	require.NoError(t, err)
	require.Equal(t, dir, again)

	require.NoError(t, os.Chmod(dir, 0o755))
	_, err = Folder()
	require.ErrorContains(t, err, "is not a folder that you alone may enter")

	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Symlink(t.TempDir(), dir))
	_, err = Folder()
	require.ErrorContains(t, err, "is not a folder that you alone may enter")

	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(parent, strings.Repeat("x", 100)))
	require.NoError(t, os.Mkdir(os.Getenv("XDG_RUNTIME_DIR"), 0o700))
	_, err = Here()
	require.ErrorContains(t, err, "is too long for the path of a socket")
}

// Both ends of a connection are of one user, or it is none.
func TestPeer(t *testing.T) {
	dir, err := os.MkdirTemp("", "ml-wire-")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	require.NoError(t, err)
	defer listener.Close()
	one, err := net.DialUnix("unix", nil, listener.Addr().(*net.UnixAddr))
	require.NoError(t, err)
	defer one.Close()
	other, err := listener.AcceptUnix()
	require.NoError(t, err)
	defer other.Close()
	a, err := NewConn(one)
	require.NoError(t, err)
	b, err := NewConn(other)
	require.NoError(t, err)

	// All that is said arrives, an end without anything in it and what JSON has no number for included.
	require.NoError(t, a.Send(Reply{Progress: &training.Progress{Step: 3, Loss: math.NaN()}}))
	require.NoError(t, a.Send(Reply{End: &End{}}))
	var first, second Reply
	require.NoError(t, b.Receive(&first))
	require.Equal(t, 3, first.Progress.Step)
	require.True(t, math.IsNaN(first.Progress.Loss))
	require.NoError(t, b.Receive(&second))
	require.NotNil(t, second.End)
	require.Nil(t, second.Progress)
}

// A change to a source, a test left out, is another place.
func TestSources(t *testing.T) {
	root := t.TempDir()
	for _, room := range rooms {
		path := filepath.Join(root, room)
		if !strings.HasPrefix(room, "go.") {
			path = filepath.Join(path, "a.go")
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(room), 0o600))
	}
	hash := func() string {
		sum, err := hashSources(root)
		require.NoError(t, err)
		return sum
	}
	before := hash()
	require.NoError(t, os.WriteFile(filepath.Join(root, "metro", "a_test.go"), []byte("test"), 0o600))
	require.Equal(t, before, hash())
	require.NoError(t, os.WriteFile(filepath.Join(root, "metro", "a.go"), []byte("other"), 0o600))
	require.NotEqual(t, before, hash())

	t.Setenv("METROLAB_SOMETHING", "else")
	t.Setenv("GONB_SOMETHING", "of a cell")
	require.Contains(t, variables(telling...), "METROLAB_SOMETHING=else")
	require.NotContains(t, variables(telling...), "GONB")
}

// The rooms hold all that a worker is built of.
func TestRooms(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,Module", "metrolab/notebooks/lab/worker").Output()
	require.NoError(t, err)
	root, err := checkout()
	require.NoError(t, err)
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath, Dir string
			Module          *struct{ Main bool }
		}
		require.NoError(t, dec.Decode(&p))
		if p.Module == nil || !p.Module.Main {
			continue
		}
		within := false
		for _, room := range rooms {
			path := filepath.Join(root, room)
			within = within || p.Dir == path || strings.HasPrefix(p.Dir, path+string(filepath.Separator))
		}
		require.True(t, within, "%s is in no room", p.ImportPath)
	}
}
