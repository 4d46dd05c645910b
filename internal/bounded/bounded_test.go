// SPDX-License-Identifier: Apache-2.0

package bounded

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// What Git LFS leaves in a file's place is no text.
func TestReadText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for text, want := range map[string]string{"": "", "\ufeff{}": "{}", "{}": "{}", "version 1": "version 1"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
		data, err := ReadText(path, 99)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
	}
	require.NoError(t, os.WriteFile(path, []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), 0o666))
	_, err := ReadText(path, 99)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, path+" is a pointer that Git LFS has left")
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(path, []byte("12345"), 0o666))
	data, err := ReadFile(path, 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(data))
	_, err = ReadFile(path, 4)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, path+" has more than 4 bytes")
	for _, other := range []string{dir, os.DevNull} {
		_, err = ReadFile(other, 5)
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, other+" is no file")
	}
	_, err = ReadFile(filepath.Join(dir, "gone"), 5)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
