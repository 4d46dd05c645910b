// SPDX-License-Identifier: Apache-2.0

// Package atomicfile writes files and folders so that whoever opens the path, at any moment and after any crash, a power
// failure included, finds the whole old one or the whole new one.
//
// Each is made aside, in the same folder under a name that nobody else has, synced, and renamed into place; then the
// folder is synced. Many may write to one path at once: each puts a whole one there, and the last stays. What is written
// has the permissions of any other file or folder, which are what the umask leaves of 0666 and 0777. A symbolic link at
// the path is replaced, not followed.
//
// A failed writer removes what it has made aside. A killed one cannot: the next writer to that folder removes it once it
// is a day old.
package atomicfile

import "io"

// Disk is a file system that can be written to atomically.
type Disk struct{ FS }

// OS is the operating system's.
var OS = Disk{osFS{}}

// WriteFile is [Disk.WriteFile] on [OS].
func WriteFile(path string, data []byte) error { return OS.WriteFile(path, data) }

// WriteFunc is [Disk.WriteFunc] on [OS].
func WriteFunc(path string, write func(io.Writer) error) error { return OS.WriteFunc(path, write) }

// WriteDir is [Disk.WriteDir] on [OS].
func WriteDir(dir string, fill func(temp string) error) error { return OS.WriteDir(dir, fill) }

// Grow is [Disk.Grow] on [OS].
func Grow(path string) (*Growing, error) { return OS.Grow(path) }

// MkdirAll is [Disk.MkdirAll] on [OS].
func MkdirAll(dir string) error { return OS.MkdirAll(dir) }
