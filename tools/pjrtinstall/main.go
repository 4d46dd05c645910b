// SPDX-License-Identifier: Apache-2.0

// Command pjrtinstall runs go-xla's own installer for the XLA CPU plugin that this version of go-xla was tested with.
//
//	pjrtinstall DIR
//
// The plugin goes to DIR/go-xla. scripts/setup gives it a temporary folder and a time limit, because the installer waits
// long where its host cannot be reached. It lives in the tools module so that no program of the project can download.
package main

import (
	"fmt"
	"os"

	"github.com/gomlx/go-xla/installer"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pjrtinstall DIR")
		os.Exit(2)
	}
	const useCache = false
	if err := installer.AutoInstallPlugin("cpu", os.Args[1], useCache, installer.Quiet); err != nil {
		fmt.Fprintln(os.Stderr, "pjrtinstall:", err)
		os.Exit(1)
	}
}
