// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/faultfs"
)

// writer is a way to put something at /dir/it, of which an older one may be there.
type writer struct {
	name  string
	write func(d atomicfile.Disk, version string) error
	read  func(d atomicfile.Disk) (version string, err error) // "" if there is nothing; an error if it is not whole
	again bool                                                // whether it replaces what is there
}

const it = "/dir/it"

func body(version string) []byte { return fmt.Appendf(nil, "all of the version %s.", version) }

func readBody(d atomicfile.Disk, path string) (version string, err error) {
	file, err := d.OpenFile(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(file)
	for _, version := range []string{"old", "new"} {
		if string(text) == string(body(version)) {
			return version, err
		}
	}
	return "", errors.Join(err, fmt.Errorf("%s is not whole: %q", path, text))
}

func writers() []writer {
	file := func(d atomicfile.Disk) (string, error) { return readBody(d, it) }
	members := []string{"one", "sub/two", "sub/three"}
	return []writer{
		{"file", func(d atomicfile.Disk, version string) error { return d.WriteFile(it, body(version)) }, file, true},
		{"stream", func(d atomicfile.Disk, version string) error {
			return d.WriteFunc(it, func(w io.Writer) error {
				for _, b := range body(version) {
					_, _ = w.Write([]byte{b}) // as one who never looks
				}
				return nil
			})
		}, file, true},
		{"folder", func(d atomicfile.Disk, version string) error {
			return d.WriteDir(it, func(temp string) error {
				if err := d.Mkdir(temp + "/sub"); err != nil {
					return err
				}
				for _, name := range members {
					file, err := d.OpenFile(filepath.Join(temp, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY)
					if err != nil {
						return err
					}
					n, err := file.Write(body(version))
					if err == nil && n < len(body(version)) {
						err = fmt.Errorf("write %s/%s: %w", temp, name, io.ErrShortWrite)
					}
					if err := errors.Join(err, file.Close()); err != nil { // and no sync
						return err
					}
				}
				return nil
			})
		}, func(d atomicfile.Disk) (string, error) {
			if there, err := d.Exists(it); !there || err != nil {
				return "", err
			}
			for _, name := range members {
				if version, err := readBody(d, filepath.Join(it, name)); err != nil || version != "new" {
					return "", errors.Join(err, fmt.Errorf("%s of version %q", name, version))
				}
			}
			return "new", nil
		}, false},
	}
}

// prepared is a file system with the old version, if the writer replaces one, before the first operation.
func prepared(t *testing.T, w writer) (f *faultfs.FS, old string) {
	t.Helper()
	f = faultfs.New()
	require.NoError(t, f.Disk().MkdirAll("/dir"))
	if w.again {
		old = "old"
		require.NoError(t, w.write(f.Disk(), old))
	}
	f.Ops = 0
	return f, old
}

// Each operation fails in its turn, alone or with all that follow: the old one is there, or the whole new one, which it
// is if no error was reported; and the next writer leaves nothing but its own.
func TestEveryFault(t *testing.T) {
	for _, w := range writers() {
		for _, mode := range []struct{ forever, short bool }{{false, false}, {true, false}, {false, true}} {
			t.Run(fmt.Sprintf("%s/%+v", w.name, mode), func(t *testing.T) {
				for k := 1; ; k++ {
					f, old := prepared(t, w)
					f.FailAt, f.Forever, f.Short = k, mode.forever, mode.short
					err := w.write(f.Disk(), "new")
					reached := f.Ops >= k
					f.Heal()
					got, readErr := w.read(f.Disk())
					require.NoError(t, readErr, "operation %d", k)
					if err == nil {
						require.Equal(t, "new", got, "operation %d", k)
					} else {
						require.Contains(t, []string{old, "new"}, got, "operation %d: %v", k, err)
						require.ErrorContains(t, err, "/dir", "operation %d: the path is named", k)
					}
					if err != nil && !mode.forever {
						require.Empty(t, strays(t, f.Disk(), "/dir"), "operation %d", k)
					}
					if got != "new" {
						require.NoError(t, w.write(f.Disk(), "new"), "operation %d", k)
						require.Empty(t, strays(t, f.Disk(), "/dir"), "operation %d", k)
					}
					if !reached {
						t.Logf("%d operations", k-1)
						require.NoError(t, err)
						break
					}
				}
			})
		}
	}
}

// The process dies, and then the power fails, in the middle of each operation in its turn.
func TestEveryPowerFailure(t *testing.T) {
	for _, w := range writers() {
		t.Run(w.name, func(t *testing.T) {
			for k := 1; ; k++ {
				f, old := prepared(t, w)
				f.DieAt = k
				err := w.write(f.Disk(), "new")
				reached := f.Ops >= k
				f.Heal()
				got, readErr := w.read(f.Disk())
				require.NoError(t, readErr, "death at operation %d", k)
				require.Contains(t, []string{old, "new"}, got, "death at operation %d", k)
				for seed := range uint64(50) {
					left := f.After(rand.New(rand.NewPCG(seed, uint64(k))))
					got, readErr := w.read(left.Disk())
					require.NoError(t, readErr, "power failure at operation %d, seed %d", k, seed)
					if err == nil {
						require.Equal(t, "new", got, "power failure after the end, seed %d", seed)
					} else {
						require.Contains(t, []string{old, "new"}, got, "power failure at operation %d, seed %d", k, seed)
					}
					if got != "new" {
						require.NoError(t, w.write(left.Disk(), "new"))
						require.Empty(t, strays(t, left.Disk(), "/dir"))
					}
				}
				if !reached {
					break
				}
			}
		})
	}
}

// A folder that MkdirAll has reported stays, with all above it.
func TestMkdirAllIsDurable(t *testing.T) {
	f := faultfs.New()
	require.NoError(t, f.Disk().MkdirAll("/a/b/c/"))
	require.NoError(t, f.Disk().MkdirAll("/a/b/c"))
	for seed := range uint64(50) {
		there, err := f.After(rand.New(rand.NewPCG(seed, 1))).Disk().Exists("/a/b/c")
		require.NoError(t, err)
		require.True(t, there)
	}
}

func strays(t *testing.T, d atomicfile.Disk, dir string) (names []string) {
	t.Helper()
	entries, err := d.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		if atomicfile.IsTemp(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names
}
