// SPDX-License-Identifier: Apache-2.0

//go:build unix

package cli

import (
	"os"
	"syscall"
)

// preempting are the signals by which schedulers ask a job to end: SIGUSR1 is what "sbatch --signal=USR1@120" sends before a
// time limit.
var preempting = []os.Signal{syscall.SIGTERM, syscall.SIGUSR1}
