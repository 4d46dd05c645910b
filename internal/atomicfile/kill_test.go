// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
)

// The test below starts this test binary again, to write into the folder that this variable names until it is killed.
const childVariable = "METROLAB_ATOMICFILE_TEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(childVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := writeForEver(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func large(version int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d;", version), 20_000) }

func writeForEver(dir string) error {
	for version := 1; ; version++ {
		if err := atomicfile.WriteFile(filepath.Join(dir, "file"), large(version)); err != nil {
			return err
		}
		if err := atomicfile.WriteDir(filepath.Join(dir, fmt.Sprint("folder", version)), func(temp string) error {
			return errors.Join(fill("one", string(large(version)))(temp), fill("two", string(large(version)))(temp))
		}); err != nil {
			return err
		}
		fmt.Println(version)
	}
}

func requireWhole(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var version int
	_, err = fmt.Sscanf(string(text), "%d;", &version)
	require.NoError(t, err)
	require.True(t, bytes.Equal(large(version), text), "%s is not whole: %d bytes", path, len(text))
}

// A process is killed with SIGKILL, again and again, at moments drawn with a fixed seed. The file is one of its versions
// then and every folder whole; what it was making aside is left, and goes when it is a day old and the next one writes.
func TestKillDashNine(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), childVariable+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewReader(out)
		for range 1 + rng.IntN(3) {
			_, err := lines.ReadString('\n')
			require.NoError(t, err)
		}
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()

		requireWhole(t, filepath.Join(dir, "file"))
		folders, err := filepath.Glob(filepath.Join(dir, "folder*"))
		require.NoError(t, err)
		for _, folder := range folders {
			requireWhole(t, filepath.Join(folder, "one"))
			requireWhole(t, filepath.Join(folder, "two"))
			require.NoError(t, os.RemoveAll(folder))
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	yesterday := time.Now().Add(-25 * time.Hour)
	count := 0
	for _, entry := range entries {
		if !atomicfile.IsTemp(entry.Name()) {
			continue
		}
		count++
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, entry.Name()), func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Chtimes(path, yesterday, yesterday))
		}))
	}
	t.Logf("%d strays", count)
	require.NoError(t, atomicfile.WriteFile(filepath.Join(dir, "file"), nil))
	require.Empty(t, strays(t, atomicfile.OS, dir))
}
