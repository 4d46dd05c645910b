// SPDX-License-Identifier: Apache-2.0

//go:build unix

package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
)

// Files and folders have the permissions of any other: what is for a group to read must be so here too.
func TestPermissionsFollowTheUmask(t *testing.T) {
	dir := t.TempDir()
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	for _, umask := range []int{0o022, 0o002, 0o027, 0o077} {
		syscall.Umask(umask)
		root := filepath.Join(dir, fs.FileMode(umask).String())
		require.NoError(t, atomicfile.MkdirAll(root))
		file, folder := filepath.Join(root, "file"), filepath.Join(root, "folder")
		require.NoError(t, atomicfile.WriteFile(file, nil))
		require.NoError(t, atomicfile.WriteDir(folder, fill("file", "")))
		for path, all := range map[string]fs.FileMode{root: 0o777, file: 0o666, folder: 0o777, filepath.Join(folder, "file"): 0o666} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, all&^fs.FileMode(umask), info.Mode().Perm(), "%s under umask %#o", path, umask)
		}
	}
}
