// SPDX-License-Identifier: Apache-2.0

// Package files writes the files of figures, pages and notebooks.
package files

import (
	"fmt"
	"path/filepath"

	"metrolab/internal/atomicfile"
)

// Write puts a file with this content in the place of another, or of none: one that is there stays whole if anything
// fails. It makes the folder where it does not exist.
func Write(path string, data []byte) error {
	err := atomicfile.MkdirAll(filepath.Dir(path))
	if err == nil {
		err = atomicfile.WriteFile(path, data)
	}
	if err != nil {
		return fmt.Errorf("viz: write %s: %w", path, err)
	}
	return nil
}
