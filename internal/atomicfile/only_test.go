// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nothing else in the module makes files aside and renames them: what is written twice is tested once.
func TestNobodyElseRenames(t *testing.T) {
	own := regexp.MustCompile(`\bos\.(Rename|CreateTemp|MkdirTemp)\(`)
	sources(t, func(path, text string) {
		if !mayWriteInPlace(path) {
			require.False(t, own.MatchString(text), "%s; write by internal/atomicfile", path)
		}
	})
}

// A file that is written in place can be found half written. Those that are, and why nobody can be misled by them:
var inPlace = map[string]string{
	"metro/text/export.go":                "inside a folder that is made aside",
	"metro/hf/export.go":                  "inside a folder that is made aside",
	"metro/cli/dataget.go":                "inside a folder that is made aside; the archive in one that is thrown away",
	"notebooks/lab/local/background.go":   "the log of a process, and a program in a private folder before it is run",
	"notebooks/lab/start.go":              "the log of a process",
	"notebooks/lab/internal/wire/unix.go": "an empty file that is locked",
	"scripts/latency/main.go":             "in a folder that is thrown away",
	"scripts/peers":                       "the mark of a virtual environment, and the logs of processes",
	"tools/notebookkernel":                "in the kernel's private folder",
	"metro/training/replay.go":            "in a folder that is thrown away",
	"metro/bench":                         "folders of its own that are removed afterwards, and the null device",
	"internal/machine/usage.go":           "the kernel's, and no file",
	"internal/faultfs/killed.go":          "of tests",
	"internal/atomicfile/fs.go":           "this package itself",
}

func mayWriteInPlace(path string) bool {
	return inPlace[path] != "" || inPlace[filepath.ToSlash(filepath.Dir(path))] != ""
}

func TestNobodyElseWritesInPlace(t *testing.T) {
	own := regexp.MustCompile(`\bos\.(Create|MkdirTemp|WriteFile|OpenFile|NewFile|Truncate)\(`)
	found := map[string]bool{}
	sources(t, func(path, text string) {
		if own.MatchString(text) {
			found[path], found[filepath.ToSlash(filepath.Dir(path))] = true, true
			require.True(t, mayWriteInPlace(path), "%s writes in place; write by internal/atomicfile, or say in inPlace why it may", path)
		}
	})
	for known := range inPlace {
		require.True(t, found[known], "%s writes nothing in place any more", known)
	}
}

// sources calls visit with the path, from the module's root and with slashes, and the text of every file that is no test.
func sources(t *testing.T, visit func(path, text string)) {
	t.Helper()
	root := filepath.Join("..", "..")
	seen := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		seen++
		text, err := os.ReadFile(path)
		if err == nil {
			path, err = filepath.Rel(root, path)
			visit(filepath.ToSlash(path), string(text))
		}
		return err
	}))
	require.Greater(t, seen, 100)
}
