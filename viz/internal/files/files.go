// SPDX-License-Identifier: Apache-2.0

// Package files writes files that are complete or not there.
package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write replaces path by data in one step, so that a full disk leaves an older file whole. It makes the folder where it does
// not exist.
func Write(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("viz: %w", err)
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("viz: %w", err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("viz: write %s: %w", path, err)
	}
	return nil
}
