// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"os"
	"path/filepath"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

// vacant returns the user's error if a command could not leave a file of its own at path in the end, so that it says so before it
// begins: something is there already, which may have cost hours or have been edited by hand, or there is no folder for it.
func vacant(flag, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return usererr.New("%s: %s is there already, and nothing is overwritten; name another file or remove it", flag, path)
	}
	return needFolder(flag, path)
}

// needFolder returns the user's error if there is no folder for a file that a command leaves in the end.
func needFolder(flag, path string) error {
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return usererr.New("%s: %s cannot be written: there is no folder %s; make it, or name another place", flag, path, folder)
	}
	return nil
}

// newFolder returns the user's error if a command could not leave a new folder at path, that of --out, in the end.
func newFolder(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return usererr.New("--out %s is there already; name a new folder", path)
	}
	return needFolder("--out", path)
}

// writeOutput writes what a command has made to the file of that name, or to out. Bytes that are no text are not written to a
// terminal.
func writeOutput(out io.Writer, path string, text []byte, binary bool) error {
	if path != "" {
		if err := atomicfile.WriteFile(path, text); err != nil {
			return usererr.New("%w", err)
		}
		return nil
	}
	if binary && isTerminal(out) {
		return usererr.New("this is no text for a terminal; name a file with --output")
	}
	_, err := out.Write(text)
	return err
}
