// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// xlaBuilt is true where XLA plugins can be loaded.
const xlaBuilt = true

// openXLA opens the plugin at an absolute path, with options behind commas, that of the processor with parts devices if these are more
// than one, and compiles with XLA's flags. Its caller holds opening.
func openXLA(config string, parts int, flags []xlaFlag) (compute.Backend, error) {
	path, _, _ := strings.Cut(config, ",")
	if err := hook(path, flags); err != nil {
		return nil, err
	}
	if parts > 1 {
		return xla.NewWithOptions(config, pjrt.NamedValuesMap{"cpu_device_count": int64(parts)})
	}
	return xla.New(config)
}

// loadedPlugin returns path and API version of the plugin behind be, or ok = false if be is not XLA.
func loadedPlugin(be compute.Backend) (path, version string, ok bool) {
	x, ok := be.(*xla.Backend)
	if !ok {
		return "", "", false
	}
	path = x.PluginName() // the path that openXLA was given
	plugin, err := pjrt.GetPlugin(path)
	if err != nil {
		return path, "unknown", true
	}
	major, minor := plugin.Version()
	return path, fmt.Sprintf("PJRT API %d.%d", major, minor), true
}

// LiveBuffers is the number of buffers that XLA holds for this process, on all devices; 0 where it is not linked in. For tests
// that nothing leaks.
func LiveBuffers() int64 { return int64(pjrt.BuffersAlive()) }
