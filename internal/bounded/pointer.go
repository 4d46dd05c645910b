// SPDX-License-Identifier: Apache-2.0

package bounded

import (
	"strings"

	"metrolab/internal/usererr"
)

// pointer is how a text begins that Git LFS leaves in the place of a file.
const pointer = "version https://git-lfs.github.com/spec/"

// PointerBytes is how much of a file [ErrPointer] looks at.
const PointerBytes = len(pointer)

// ErrPointer is the user's error for a file that begins as the text does which Git LFS leaves in a file's place until it is
// fetched, as in a clone of a repository on a machine without Git LFS; nil for others.
func ErrPointer(path, head string) error {
	if !strings.HasPrefix(head, pointer) {
		return nil
	}
	return usererr.New("%s is a pointer that Git LFS has left in the place of the file; git lfs pull fetches it", path)
}
