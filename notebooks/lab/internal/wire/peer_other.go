// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package wire

import "net"

// checkPeer leaves it to the folder of the socket, which nobody else may enter.
func checkPeer(*net.UnixConn) error { return nil }
