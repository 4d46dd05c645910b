// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package cli

import (
	"os"
	"syscall"
)

// preempting is what such a system has of the signals by which schedulers ask a job to end.
var preempting = []os.Signal{syscall.SIGTERM}
