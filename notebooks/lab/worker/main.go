// SPDX-License-Identifier: Apache-2.0

// Command worker trains for the cells of package lab, which start it when they need it.
//
// Usage: worker ROOT SOURCES SOCKET, the members of the place at which it listens.
package main

import (
	"fmt"
	"os"
	"time"

	"metrolab/notebooks/lab/internal/wire"
	"metrolab/notebooks/lab/local"
)

// idle is how long a worker waits for another request before it leaves.
const idle = 15 * time.Minute

func main() {
	if local.Ordered() { // in the background, for a worker that was asked to
		local.Open()
	}
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: worker ROOT SOURCES SOCKET; cells of package lab start it when they need it")
		os.Exit(2)
	}
	place := wire.Place{Root: os.Args[1], Sources: os.Args[2], Socket: os.Args[3]}
	if err := newServer(place, idle).serve(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}
