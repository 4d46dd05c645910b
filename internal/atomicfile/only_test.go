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
	root := filepath.Join("..", "..")
	seen := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == filepath.Join(root, "internal", "atomicfile", "fs.go"):
			return nil
		}
		seen++
		text, err := os.ReadFile(path)
		require.NotRegexp(t, own, string(text), "%s; write by internal/atomicfile", path)
		return err
	}))
	require.Greater(t, seen, 100)
}
