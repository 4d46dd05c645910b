// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
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

// echo is how soon after the first signal another of the schedulers' is the same request: timeout sends SIGTERM twice, and
// systemd SIGHUP right behind it.
const echo = time.Second

// listen returns a context that ends at the first Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP, and says so at once on the screen, with
// what has to be waited for. A second signal ends the program: whatever is on the disk is whole at any time.
//
// Whoever reads the output may leave, as head does. Writing to nobody is then an error, which the writer of a result
// returns and the progress of a training ignores; it does not end the program.
func listen(screen *screen) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, append(preempting, os.Interrupt)...)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // not ignored, which the programs that are started would inherit
	go func() {
		first := stopSignal{<-signals}
		came := time.Now()
		cancel(first)
		fmt.Fprintln(screen, stopping(first, screen.waitsFor()))
		for s := range signals {
			if s == os.Interrupt || time.Since(came) > echo {
				screen.clear()
				os.Exit(stopSignal{s}.exitCode())
			}
		}
	}()
	return ctx
}

// stopping says that a signal has come, and what the command waits for before it ends, if it is known.
func stopping(s stopSignal, waitsFor string) string {
	words := "stopping"
	if s.Signal != os.Interrupt {
		words = s.String() + ": stopping"
	}
	if waitsFor != "" {
		words += " after " + waitsFor
	}
	return words + "; a second signal ends at once, at the cost of what is not saved yet"
}
