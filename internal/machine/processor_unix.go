// SPDX-License-Identifier: Apache-2.0

//go:build unix

package machine

import (
	"syscall"
	"time"
)

// ProcessorTime returns the time that the cores have spent on this process, of all its threads together, in the program and in
// the system; 0 where that is not known.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
