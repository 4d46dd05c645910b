// SPDX-License-Identifier: Apache-2.0

package packed

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

func packings(t testing.TB, text string) (zipped, zstandard string) {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, err := io.WriteString(zip, text)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return out.String(), string(w.EncodeAll([]byte(text), nil))
}

// A file is read as it was before it was packed, whatever its name says, and one that is not what its name says is the user's error.
func TestOpen(t *testing.T) {
	const text = "a line\nanother\n"
	zipped, zstandard := packings(t, text)
	dir := t.TempDir()
	for _, c := range []struct{ name, content, want string }{
		{"a.txt", text, ""}, {"a.txt.gz", zipped, ""}, {"a.txt.ZST", zstandard, ""}, {"b.txt", zipped, ""}, {"c.gz", zstandard, ""}, {"d", zstandard, ""},
		{"e.txt.gz", text, "e.txt.gz cannot be read as a gzip file: gzip: invalid header"}, {"f.zst", text, "cannot be read as a zstd file"},
		{"empty.gz", "", "cannot be read as a gzip file: EOF"}, {"empty.zst", "", "cannot be read as a zstd file: unexpected EOF"},
		{"cut.gz", zipped[:len(zipped)-3], "unexpected EOF"}, {"cut.zst", zstandard[:len(zstandard)-3], "unexpected EOF"},
	} {
		path := filepath.Join(dir, c.name)
		require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
		var got []byte
		in, err := Open(path)
		if err == nil {
			got, err = io.ReadAll(in)
			require.NoError(t, in.Close())
		} else {
			require.True(t, usererr.Is(err), c.name)
		}
		if c.want != "" {
			require.ErrorContains(t, err, c.want, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, text, string(got), c.name)
	}
	_, err := Open(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReaderSaysWhatIsWrongWithItsInput(t *testing.T) {
	broken := errors.New("the disk is gone")
	in, err := NewReader("a.txt", iotest.ErrReader(broken))
	require.NoError(t, err)
	_, err = io.ReadAll(in)
	require.ErrorIs(t, err, broken)
	empty, err := NewReader("-", bytes.NewReader(nil))
	require.NoError(t, err)
	got, err := io.ReadAll(empty)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestTrim(t *testing.T) {
	for name, want := range map[string]string{"a.txt.gz": "a.txt", "a.jsonl.ZST": "a.jsonl", ".gz": ".gz", "gz": "gz", "a.gz.txt": "a.gz.txt"} {
		require.Equal(t, want, Trim(name))
	}
}
