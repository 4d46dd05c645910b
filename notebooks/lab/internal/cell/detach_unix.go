// SPDX-License-Identifier: Apache-2.0

//go:build unix

package cell

import (
	"os/exec"
	"syscall"
)

// detach gives the program a session of its own: an interrupt of the cell is not meant for it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
