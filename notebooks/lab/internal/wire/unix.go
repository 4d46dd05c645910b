// SPDX-License-Identifier: Apache-2.0

//go:build unix

package wire

import (
	"io/fs"
	"os"
	"syscall"
)

// owned reports whether a file is this user's.
func owned(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}

// Locked runs do while no other process is in Locked of the same file. The lock of a process that is killed is free.
func Locked(path string, do func() error) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err {
		case nil:
			return do()
		case syscall.EINTR:
		default:
			return &fs.PathError{Op: "lock", Path: path, Err: err}
		}
	}
}
