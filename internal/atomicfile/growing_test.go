// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/faultfs"
)

// Whichever operation fails, what has a name in the end are whole lines, all that were appended without an error.
func TestGrowingFaults(t *testing.T) {
	for _, mode := range []struct{ forever, short bool }{{false, false}, {true, false}, {false, true}} {
		for k := 1; k < 40; k++ {
			f := faultfs.New()
			require.NoError(t, f.Disk().MkdirAll("/dir"))
			f.Ops, f.FailAt, f.Forever, f.Short = 0, k, mode.forever, mode.short
			g, err := f.Disk().Grow("/dir/it")
			if err != nil {
				continue
			}
			lines := ""
			for i := range 5 {
				line := fmt.Sprintf("line %d\n", i)
				if err = g.Append([]byte(line)); err != nil {
					break
				}
				lines += line
			}
			placed := ""
			for _, name := range []string{"/dir/it", "/dir/other"} {
				if g.Place(name) == nil {
					placed = name
					break
				}
			}
			f.FailAt = 0
			for _, name := range []string{"/dir/it", "/dir/other"} {
				there, err := f.Disk().Exists(name)
				require.NoError(t, err)
				if there {
					file, err := f.Disk().OpenFile(name, os.O_RDONLY)
					require.NoError(t, err)
					require.Equal(t, lines, readAll(t, file), "%+v, operation %d", mode, k)
				}
				require.True(t, there || name != placed)
			}
		}
	}
}

func readAll(t *testing.T, file atomicfile.File) string {
	t.Helper()
	buffer := make([]byte, 1<<10)
	n, err := file.Read(buffer)
	if n > 0 {
		require.NoError(t, err)
	}
	return string(buffer[:n])
}

func TestGrowingOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "it")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	g, err := atomicfile.Grow(path)
	require.NoError(t, err)
	require.NoError(t, g.Append([]byte("new\n")))
	require.ErrorIs(t, g.Place(path), fs.ErrExist)
	require.NoError(t, g.Place(path+".partial"))
	for name, want := range map[string]string{path: "mine", path + ".partial": "new\n"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
	g, err = atomicfile.Grow(path)
	require.NoError(t, err)
	require.NoError(t, g.Remove())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
}
