// SPDX-License-Identifier: Apache-2.0

package usererr

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is wrong with a file is the user's to mend, whatever call met it; what is wrong with a call is not.
func TestErrorsOfFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("text"), 0o600))
	ofFiles := map[string]func() error{
		"missing":          func() error { _, err := os.Open(filepath.Join(dir, "nowhere")); return err },
		"a file as folder": func() error { return os.MkdirAll(filepath.Join(file, "folder"), 0o700) },
		"a folder as file": func() error { _, err := os.ReadFile(dir); return err },
		"in the way":       func() error { return os.Mkdir(file, 0o700) },
		"name too long":    func() error { _, err := os.Create(filepath.Join(dir, strings.Repeat("n", 4000))); return err },
		"rename":           func() error { return os.Rename(filepath.Join(dir, "nowhere"), file) },
		"not JSON":         func() error { return json.Unmarshal([]byte(`{"a": `), new(any)) },
		"other JSON":       func() error { return json.Unmarshal([]byte(`"a"`), new(int)) },
		"not gzip":         func() error { _, err := gzip.NewReader(strings.NewReader(strings.Repeat("text", 9))); return err },
		"cut short":        func() error { _, err := io.ReadFull(strings.NewReader("a"), make([]byte, 2)); return err },
	}
	if full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		defer full.Close()
		ofFiles["full disk"] = func() error { _, err := full.Write([]byte("a")); return err }
	}
	for name, provoke := range ofFiles {
		err := provoke()
		require.Error(t, err, name)
		require.True(t, OfFile(fmt.Errorf("outer: %w", err)), "%s: %v", name, err)
		require.False(t, Is(err), name)
	}

	closed, err := os.Open(file)
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, readClosed := closed.Read(make([]byte, 1))
	require.Error(t, readClosed)
	for _, err := range []error{nil, io.EOF, readClosed, fmt.Errorf("index 3 of 2")} {
		require.False(t, OfFile(err), "%v", err)
	}
}
