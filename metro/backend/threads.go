// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/gomlx/compute"

	"metrolab/internal/usererr"
)

// XLA on the processor divides a product among so many threads where nobody asks for a number, on every machine. Sums follow the
// division, so the number decides bits as the plugin does; left alone, XLA would take the machine's cores.
const (
	defaultThreads = 4
	smallThreads   = 1 // see [Needs]
)

// threadsVar is the variable that the plugin reads when a client is made.
const threadsVar = "PJRT_NPROC"

// askedThreads is what the variable was when the program began.
var askedThreads = os.Getenv(threadsVar)

// opened has the target of each open backend.
var opened sync.Map

// xlaOptions are the options of a spec without threads=N, and the threads that it or the environment asks for, 0 if neither does.
func (s spec) xlaOptions() (options []string, threads int, err error) {
	asked, from := askedThreads, "$"+threadsVar
	for _, option := range s.options {
		if isThreads(option) {
			asked, from = strings.TrimPrefix(option, threadsOption), s.text
		} else {
			options = append(options, option)
		}
	}
	if asked == "" {
		return options, 0, nil
	}
	if threads, err = strconv.Atoi(asked); err != nil || threads < 1 {
		return nil, 0, usererr.New("%s: threads are a whole number from 1 on, and not %q", from, asked)
	}
	return options, threads, nil
}

const threadsOption = "threads="

func isThreads(option string) bool { return strings.HasPrefix(option, threadsOption) }

// withThreads opens a client of so many threads. What the environment said before stands there again afterwards: a process
// that is started from here has not been asked for them.
func withThreads(threads int, open func() (compute.Backend, error)) (compute.Backend, error) {
	if err := os.Setenv(threadsVar, strconv.Itoa(threads)); err != nil {
		return nil, fmt.Errorf("setting %s: %w", threadsVar, err)
	}
	defer func() {
		if askedThreads == "" {
			_ = os.Unsetenv(threadsVar)
		} else {
			_ = os.Setenv(threadsVar, askedThreads)
		}
	}()
	return open()
}
