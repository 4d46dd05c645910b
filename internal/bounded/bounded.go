// SPDX-License-Identifier: Apache-2.0

// Package bounded reads files that ought to be small, from folders that others have filled.
package bounded

import (
	"bytes"
	"io"
	"os"

	"metrolab/internal/usererr"
)

// ReadFile is [os.ReadFile] for a regular file of at most limit bytes. A larger one, or a device or a pipe, which may have no
// end, is the user's error.
func ReadFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path) // to open a pipe would be to wait for somebody who writes
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, usererr.New("%s is no file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, usererr.New("%s has more than %d bytes, which is more than any such file needs", path, limit)
	}
	return data, err
}

// ReadText is [ReadFile] without the byte order mark that some editors put before a text, and that no reader of JSON takes. A
// pointer of Git LFS is the user's error.
func ReadText(path string, limit int64) ([]byte, error) {
	data, err := ReadFile(path, limit)
	if err == nil {
		err = ErrPointer(path, string(data[:min(len(data), PointerBytes)]))
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), err
}
