// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"metrolab/internal/usererr"
	"metrolab/metro/training"
)

// The exit codes of every command. 75 is EX_TEMPFAIL of sysexits.h, upon which schedulers queue a job again.
const (
	exitDone        = 0
	exitFault       = 1
	exitUser        = 2
	exitDiverged    = 3
	exitPreempted   = 75
	exitInterrupted = 130
)

// exitCodes says what each means.
var exitCodes = []struct {
	code  int
	means string
}{
	{exitDone, "done; in a study, a run that diverged is a result like any other"},
	{exitFault, "a fault of this program"},
	{exitUser, "something in the command, the files or the folders: the message says what"},
	{exitDiverged, "the training diverged: its loss or gradient is no number any more"},
	{exitPreempted, "told to end by a scheduler (SIGTERM, SIGUSR1) or a closed terminal (SIGHUP); what there was to save is saved"},
	{exitInterrupted, "Ctrl-C; what there was to save is saved"},
}

// exitHelp is the table of exit codes for --help.
func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "\n  %-4d %s", e.code, e.means)
	}
	return b.String()
}

// exitCode is the exit code for how a command under ctx ended. A reader of the output that has enough, as head has, is
// no failure.
func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return exitDone
	case interrupted(err):
		if s, ok := errors.AsType[stopSignal](context.Cause(ctx)); ok {
			return s.exitCode()
		}
		return exitInterrupted
	case errors.Is(err, training.ErrDiverged):
		return exitDiverged
	case usererr.Is(err), usererr.OfFile(err):
		return exitUser
	default:
		return exitFault
	}
}

func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, training.ErrInterrupted)
}
