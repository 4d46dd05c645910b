// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/faultfs"
	"metrolab/metro/metrics"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// stride is how many changes lie between two that are spoilt: few of them are, and many in "scripts/test --long".
func stride(few, many int) int {
	if os.Getenv("METROLAB_TEST_LONG") != "" {
		return many
	}
	return few
}

// faults are what may become of a change to a file.
var faults = map[string]error{"no space": syscall.ENOSPC, "input and output": syscall.EIO, "a short write": io.ErrShortWrite}

// runAndWrite is what the command does.
func (s Study) runAndWrite(t *testing.T, runner *training.Runner) error {
	results, err := s.Run(t.Context(), runner, 1, nil)
	if results.Ended() == 0 {
		return err
	}
	_, writing := results.Write(filepath.Join(runner.Store.Root, s.Name))
	return errors.Join(err, writing)
}

// Each write, sync and renaming of a study's own files fails in its turn, when seeds are added to one with a report: it is told
// with the file's name, what lies there is the old file or the new one, the runs are untouched, and the same call again leaves
// what it had left without a fault.
func TestReportSurvivesEveryFault(t *testing.T) {
	runner, s := lab(t), quick()
	dir := filepath.Join(runner.Store.Root, s.Name)
	require.NoError(t, s.runAndWrite(t, runner))
	old := contentsOf(t, dir)
	s.Seeds = append(s.Seeds, 4)
	require.NoError(t, s.runAndWrite(t, runner))
	whole := contentsOf(t, dir)
	require.NotEqual(t, old[ResultsFile], whole[ResultsFile])
	trained := contentsOf(t, runner.Store.Root, s.Name)

	for name, fault := range faults {
		for at := 1; ; at += stride(15, 1) {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.Mkdir(dir, 0o700))
			for file, text := range old {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
			}
			changes, err := faultfs.Failing(at, fault, func() error { return s.runAndWrite(t, runner) })
			where := fmt.Sprintf("%s at change %d", name, at)
			require.Equal(t, trained, contentsOf(t, runner.Store.Root, s.Name), where)
			found := contentsOf(t, dir)
			for file := range old {
				require.Contains(t, []string{old[file], whole[file]}, found[file], "%s: %s", where, file)
			}
			if err == nil {
				require.Equal(t, whole, found, where)
			} else {
				require.ErrorContains(t, err, dir, where)
				if fault != io.ErrShortWrite {
					require.ErrorIs(t, err, fault, where)
				}
				require.NoError(t, s.runAndWrite(t, runner), where)
				require.Equal(t, whole, contentsOf(t, dir), where)
			}
			if changes < at {
				t.Logf("%s: %d changes", name, changes)
				break
			}
		}
	}
}

// The same for a study from its first run on, where the runs' files are among those that fail.
func TestStudySurvivesFaults(t *testing.T) {
	runner, s := lab(t), quick()
	require.NoError(t, s.runAndWrite(t, runner))
	whole := readTable(t, filepath.Join(runner.Store.Root, s.Name))
	for name, fault := range faults {
		for at := 20; ; at += stride(491, 29) {
			runner.Store = runs.Store{Root: filepath.Join(t.TempDir(), "runs")}
			changes, err := faultfs.Failing(at, fault, func() error { return s.runAndWrite(t, runner) })
			where := fmt.Sprintf("%s at change %d", name, at)
			if err != nil {
				require.ErrorContains(t, err, runner.Store.Root, where)
				require.NoError(t, faultfs.Bury(runner.Store.Root))
				require.NoError(t, s.runAndWrite(t, runner), where)
			}
			requireSameOutcomes(t, whole, readTable(t, filepath.Join(runner.Store.Root, s.Name)), where)
			if changes < at {
				t.Logf("%s: %d changes", name, changes)
				break
			}
		}
	}
}

// requireSameOutcomes compares two tables of runs but for their timings and the memory that they took.
func requireSameOutcomes(t *testing.T, a, b [][]string, where string) {
	t.Helper()
	require.Len(t, b, len(a), where)
	for i := range a {
		for j, name := range a[0] {
			if !metrics.Of(name).Timing && !slices.Contains([]string{"seconds", "processor_seconds", "memory"}, name) {
				require.Equal(t, a[i][j], b[i][j], "%s: %s", where, name)
			}
		}
	}
}

// contentsOf are the files below dir, by their paths from there, without what lies aside and but for a folder.
func contentsOf(t *testing.T, dir string, but ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || atomicfile.IsTemp(entry.Name()):
			return err
		case entry.IsDir() && len(but) > 0 && entry.Name() == but[0]:
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[name] = string(text)
		return err
	}))
	return found
}
