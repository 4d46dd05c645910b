// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package cell

import "os/exec"

// detach has nothing to do: there is no kernel for these systems.
func detach(*exec.Cmd) {}
