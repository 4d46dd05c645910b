// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
)

// A Machine is what this computer and this program offer to a backend.
type Machine struct {
	SearchPath []string // directories in which plugins were looked for
	Plugins    []Plugin // the CPU and CUDA plugins found there, broken ones included
	GPUs       []string // device files of NVIDIA GPUs
	XLA        bool     // whether this program was built with XLA
	SIMD       bool     // whether pure Go was built with vector instructions (GOEXPERIMENT=simd on amd64)
	Cores      int      // processor cores this process may use
	Memory     Memory
}

// Probe looks around without opening a backend: it reads file names and headers, so it is quick and cannot fail.
func Probe() Machine {
	dirs := searchPath()
	gpus, _ := filepath.Glob("/dev/nvidia[0-9]*") // the pattern is well formed
	return Machine{
		SearchPath: dirs,
		Plugins:    findPlugins(dirs),
		GPUs:       gpus,
		XLA:        xlaBuilt,
		SIMD:       simdBuilt,
		Cores:      runtime.GOMAXPROCS(0),
		Memory:     readMemory(),
	}
}

// Advice says in a line each what is missing or broken and how to mend it. It is empty if nothing is.
func (m Machine) Advice() []string {
	var lines []string
	for _, p := range m.Plugins {
		if p.Problem != "" {
			lines = append(lines, fmt.Sprintf("%s %s; remove it and run ./scripts/setup", p.Path, p.Problem))
		}
	}
	for _, kind := range []Kind{Go, XLACPU} {
		if line := m.missingAbove(kind); line != "" {
			lines = append(lines, line)
		}
	}
	if !m.SIMD && runtime.GOARCH == "amd64" {
		lines = append(lines, simdAdvice)
	}
	return lines
}

const simdAdvice = "GOEXPERIMENT=simd at build time (. scripts/env.sh sets it) makes pure Go about 3 × faster"

// missingAbove says what to install or build for the next faster kind, or returns "" if nothing is missing for it.
func (m Machine) missingAbove(kind Kind) string {
	switch {
	case kind == Go && !m.XLA && runtime.GOOS == "linux" && runtime.GOARCH == "amd64":
		return "this program is built without XLA, which is faster for all but the smallest models; build it with cgo and without the tag noxla"
	case kind == Go && m.XLA && len(m.sound(XLACPU)) == 0:
		return "./scripts/setup installs XLA, faster for all but the smallest models"
	case kind == XLACPU && m.XLA && len(m.GPUs) > 0 && len(m.sound(XLACUDA)) == 0:
		return "./scripts/setup --cuda installs XLA for the GPU that is here"
	}
	return ""
}

// fasterThan says how to get a faster backend than this kind, or returns "" if it is the fastest here.
func (m Machine) fasterThan(kind Kind) string {
	switch {
	case m.missingAbove(kind) != "":
		return m.missingAbove(kind)
	case kind == Go && m.XLA:
		return "xla:cpu is here, faster for all but the smallest models"
	case kind == XLACPU && len(m.GPUs) > 0:
		return "xla:cuda and a GPU are here"
	case kind == Go && !m.SIMD && runtime.GOARCH == "amd64":
		return simdAdvice
	}
	return ""
}

// sound returns the plugins of one kind that look usable.
func (m Machine) sound(kind Kind) []Plugin {
	unfit := func(p Plugin) bool { return p.Kind != kind || p.Problem != "" }
	return slices.DeleteFunc(slices.Clone(m.Plugins), unfit)
}
