// SPDX-License-Identifier: Apache-2.0

package shards_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/shards"
)

type index struct {
	Rows int
	Sum  string
}

// An index whose text was changed, be it a space, does not fit its seal.
func TestSeal(t *testing.T) {
	ix := index{Rows: 3}
	raw, err := shards.Seal(&ix, &ix.Sum)
	require.NoError(t, err)
	read := func(raw []byte) error {
		var again index
		require.NoError(t, json.Unmarshal(raw, &again))
		return shards.CheckSeal(raw, &again, &again.Sum)
	}
	require.NoError(t, read(raw))
	require.Error(t, read(append(raw, ' ')))
	changed, err := json.MarshalIndent(index{Rows: 4, Sum: ix.Sum}, "", " ")
	require.NoError(t, err)
	require.Error(t, read(append(changed, '\n')))
}

// Files are read by place until they are closed. One that was cut after it was opened is an error, and not the end of the process.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(one, []byte("abcdef"), 0o666))
	require.NoError(t, os.WriteFile(other, make([]byte, 1<<16), 0o666))
	var f shards.Files
	require.NoError(t, f.Open(one, 6))
	require.NoError(t, f.Open(other, 1<<16))
	require.ErrorContains(t, f.Open(one, 7), "one has 6 bytes, its index says 7")
	require.Error(t, f.Open(filepath.Join(dir, "none"), 1))
	raw := make([]byte, 2)
	require.NoError(t, f.ReadAt(raw, 0, 3))
	require.Equal(t, "de", string(raw))
	require.Error(t, f.ReadAt(raw, 0, 5), "beyond its end")
	require.NoError(t, os.Truncate(other, 0))
	require.ErrorContains(t, f.ReadAt(raw, 1, 1<<15), "it is shorter than it was, or its disk fails")
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Close(), os.ErrClosed)
	require.ErrorIs(t, f.ReadAt(raw, 0, 0), os.ErrClosed)

	require.NoError(t, shards.Verify(one, "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721"))
	require.ErrorContains(t, shards.Verify(one, "00"), "the SHA-256 of "+one+" is bef57ec7f53a…, its index says 00…")
	require.Error(t, shards.Verify(filepath.Join(dir, "none"), ""))
}
