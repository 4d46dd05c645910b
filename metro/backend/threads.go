// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"metrolab/internal/usererr"
)

// DefaultThreads is how many threads XLA on the processor divides a product among, on every machine. Sums follow the
// division, so the number decides bits as the plugin does; left alone, XLA would take the machine's cores. One thread is
// best for the smallest models, where handing work over costs more than it saves (docs/performance.md), and as many as
// there are cores for large ones: the option threads=N, as in "xla:cpu,threads=1", or $PJRT_NPROC, says so.
const DefaultThreads = 4

// threadsVar is the variable that the plugin reads when a client is made.
const threadsVar = "PJRT_NPROC"

// askedThreads is what the variable was when the program began.
var askedThreads = os.Getenv(threadsVar)

// threadsOf has the threads of each open backend of XLA on the processor.
var threadsOf sync.Map

// xlaOptions are the options of a spec without threads=N, and N; 0 if the spec does not say.
func (s spec) xlaOptions() (options []string, threads int, err error) {
	for _, option := range s.options {
		n, ok := strings.CutPrefix(option, "threads=")
		if !ok {
			options = append(options, option)
		} else if threads, err = wholeThreads(n, s.text); err != nil {
			return nil, 0, err
		}
	}
	return options, threads, nil
}

// defaultThreads are those that the environment asks for, or [DefaultThreads].
func defaultThreads() (int, error) {
	if askedThreads == "" {
		return DefaultThreads, nil
	}
	return wholeThreads(askedThreads, "$"+threadsVar+"="+askedThreads)
}

func wholeThreads(n, from string) (int, error) {
	threads, err := strconv.Atoi(n)
	if err != nil || threads < 1 {
		return 0, usererr.New("%s: threads are a whole number from 1 on", from)
	}
	return threads, nil
}

// setThreads prepares the environment for a client of so many threads.
func setThreads(threads int) error {
	if err := os.Setenv(threadsVar, strconv.Itoa(threads)); err != nil {
		return fmt.Errorf("setting %s: %w", threadsVar, err)
	}
	return nil
}
