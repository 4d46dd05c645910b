// SPDX-License-Identifier: Apache-2.0

package usererr

import (
	"archive/tar"
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// OfFile reports whether err comes from what lies on the disk and not from the program: a file or folder that is missing, in
// the way, forbidden or on a full disk, one that ends too early, and one that its format's reader refuses. These are the
// user's to mend, as much as what [New] makes, whoever met them.
func OfFile(err error) bool {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return ofSystem(path.Err)
	}
	if link, ok := errors.AsType[*os.LinkError](err); ok {
		return ofSystem(link.Err)
	}
	return damaged(err)
}

// ofSystem reports whether a system call on a file failed for a reason that lies in the file. The others are calls that a
// program should not have made.
func ofSystem(err error) bool {
	for _, ours := range []error{fs.ErrClosed, fs.ErrInvalid, syscall.EBADF, syscall.EFAULT, os.ErrDeadlineExceeded} {
		if errors.Is(err, ours) {
			return false
		}
	}
	return true
}

// damaged reports whether err is that of a reader of a format.
func damaged(err error) bool {
	for _, known := range []error{
		io.ErrUnexpectedEOF, gzip.ErrHeader, gzip.ErrChecksum, tar.ErrHeader, zip.ErrFormat, zip.ErrChecksum, zip.ErrAlgorithm,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return is[*json.SyntaxError](err) || is[*json.UnmarshalTypeError](err) || is[flate.CorruptInputError](err) || is[*csv.ParseError](err)
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
