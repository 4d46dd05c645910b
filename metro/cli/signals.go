// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// stopSignal is the cause of a context that a signal has ended.
type stopSignal struct{ os.Signal }

func (s stopSignal) Error() string { return "stopped by a signal: " + s.String() }

func (s stopSignal) exitCode() int {
	if s.Signal == os.Interrupt {
		return exitInterrupted
	}
	return exitPreempted
}

// listen returns a context that ends at the first Ctrl-C, SIGTERM or SIGHUP, and says so at once on the screen, with what
// has to be waited for. A second Ctrl-C ends the program: whatever is on the disk is whole at any time. A second signal
// of another kind changes nothing, since timeout and some schedulers send each twice.
//
// Whoever reads the output may leave, as head does. Writing to nobody is then an error, which the writer of a result
// returns and the progress of a training ignores; it does not end the program.
func listen(screen *screen) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // not ignored, which the programs that are started would inherit
	go func() {
		for s := range signals {
			if ctx.Err() == nil {
				cancel(stopSignal{s})
				fmt.Fprintln(screen, stopping(s, screen.waitsFor()))
			} else if s == os.Interrupt {
				screen.clear()
				os.Exit(exitInterrupted)
			}
		}
	}()
	return ctx
}

// stopping says that a signal has come, and what the command waits for before it ends, if it is known.
func stopping(s os.Signal, waitsFor string) string {
	words := "stopping"
	if s != os.Interrupt {
		words = s.String() + ": stopping"
	}
	if waitsFor != "" {
		words += " after " + waitsFor
	}
	return words + "; Ctrl-C again ends at once, at the cost of what is not saved yet"
}
