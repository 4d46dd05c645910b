// SPDX-License-Identifier: Apache-2.0

//go:build !(linux && amd64 && cgo && !noxla)

package backend

import (
	"errors"

	"github.com/gomlx/compute"
)

const xlaBuilt = false

var errWithoutXLA = errors.New("this program is built without XLA")

func openXLA(string, int, []xlaFlag) (compute.Backend, error) {
	return nil, errWithoutXLA
}

func loadedPlugin(compute.Backend) (path, version string, ok bool) { return "", "", false }

// LiveBuffers is the number of buffers that XLA holds for this process: none, as it is not linked in.
func LiveBuffers() int64 { return 0 }

// CacheExecutables does nothing where XLA is not linked in.
func CacheExecutables(string) {}

// Compilations counts what XLA has compiled and loaded: nothing, as it is not linked in.
func Compilations() (compiled, loaded int64) { return 0, 0 }

// WatchMemory does nothing where XLA is not linked in.
func WatchMemory(func(DeviceMemory, error)) {}

func (a *Ahead) open(cuda, cpu string, tf32 bool) error { return errWithoutXLA }
