// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net"
	"os"
	"syscall"

	"metrolab/internal/usererr"
)

// checkPeer refuses a process of another user at the other end.
func checkPeer(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var peer *syscall.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		peer, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if asked != nil {
		return asked
	}
	return checkUser(int(peer.Uid), os.Getuid())
}

// checkUser is an error if a process of user other is no business of user own.
func checkUser(other, own int) error {
	if other != own {
		return usererr.New("the process at the other end of the socket is of user %d and not of user %d", other, own)
	}
	return nil
}
