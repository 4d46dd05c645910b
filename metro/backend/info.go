// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
)

// Info says which backend runs the graphs. All but Advice belongs into a run's provenance.
type Info struct {
	Kind          Kind
	Name          string // what the backend calls itself
	Plugin        string // path of the plugin; empty for pure Go
	PluginVersion string // version of the plugin's interface and the first 12 digits of the file's SHA-256
	Devices       int    // devices it shows
	Divided       int    // how many of them compute each step: 1 unless somebody asked for more
	Threads       int    // of XLA on the processor that somebody asked for; 0 if nobody did, as for other kinds
	SIMD          bool   // whether the program was built with vector instructions for pure Go
	Advice        string // how to get a faster one; empty if this is the fastest here
}

// Describe says what is known about an open backend.
func Describe(be compute.Backend) Info {
	info := Info{Kind: Go, Name: be.Description(), Devices: be.NumDevices(), Divided: 1, SIMD: simdBuilt}
	if path, version, ok := loadedPlugin(be); ok {
		info.Kind = XLACPU
		if kind, _ := kindOf(path); kind == XLACUDA {
			info.Kind = XLACUDA
		}
		info.Plugin, info.PluginVersion = path, version+", sha256 "+shortSum(path)
	}
	if t, ok := opened.Load(be); ok {
		info.Threads, info.Divided = t.(target).threads, max(1, t.(target).devices)
	}
	info.Advice = Probe().fasterThan(info.Kind)
	return info
}

// Numerics names all of the backend that a run's identity holds: its kind, and the threads and devices that somebody asked for,
// which decide in which order sums are added. Threads of nobody's asking follow from the config.
func (i Info) Numerics() string {
	name := string(i.Kind)
	if i.Threads > 0 {
		name += fmt.Sprintf(",threads=%d", i.Threads)
	}
	if i.Divided > 1 {
		name += fmt.Sprintf(",devices=%d", i.Divided)
	}
	return name
}

// String is one line: what was picked and how to get a faster one.
func (i Info) String() string {
	var b strings.Builder
	b.WriteString("backend: " + i.Kind.label())
	switch {
	case i.Plugin != "":
		fmt.Fprintf(&b, " (%s, %s)", i.Plugin, i.PluginVersion)
		b.WriteString(strings.ReplaceAll(strings.TrimPrefix(i.Numerics(), string(i.Kind)), ",", ", "))
	case i.SIMD:
		b.WriteString(" (SIMD)")
	}
	if i.Advice != "" {
		b.WriteString("; " + i.Advice)
	}
	return b.String()
}
