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
