// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"

	"metrolab/internal/usererr"
)

// EnvVar names the environment variable whose spec takes the place of auto.
const EnvVar = "METROLAB_BACKEND"

// Open opens the backend that the spec asks for:
//
//	auto or ""         what $METROLAB_BACKEND says, else the fastest that is here
//	go                 pure Go
//	xla or xla:cpu     XLA on the processor
//	xla:cuda           XLA on an NVIDIA GPU
//	xla:/abs/path.so   this plugin; its name must contain cpu or cuda
//
// Options follow behind commas, as in "xla:cpu,threads=2" and "go,creation_order": threads=N for XLA on the processor, in the
// place of four, or of one where a run [Needs] no more; devices=N for XLA, which auto takes too: on so many devices each step is
// computed, GPUs, or parts that the processor is divided into; and those of GoMLX's backends. XLA on a GPU multiplies float32 in
// full: whether products are rounded to TF32, and whether kernels may depend on timing, is a run's choice, and [Fit] opens what it
// needs.
//
// Open never downloads and never panics. A plugin that was found but cannot be used is reported by a warning to [slog] and
// the next best is taken; auto ends at pure Go, which always opens. A spec that makes no sense, or asks for a plugin that is
// not there, is a user error.
func Open(specText string) (compute.Backend, error) {
	s := parseSpec(specText)
	fromEnv := ""
	if env := os.Getenv(EnvVar); env != "" && s.engine == "auto" {
		asked := s.devices
		s, fromEnv = parseSpec(env), "$"+EnvVar+": "
		s.devices = cmp.Or(asked, s.devices)
	}
	machine := Probe()
	list, err := machine.targets(s)
	if err != nil {
		return nil, fmt.Errorf("%s%w", fromEnv, err)
	}
	if s.searches() {
		machine.warnBroken()
	}
	return openFirst(list, target.open)
}

// warnBroken reports the plugins that are passed over because of what their files look like.
func (m Machine) warnBroken() {
	for _, p := range m.Plugins {
		if p.Problem != "" {
			slog.Warn("backend: passed over plugin " + p.Path + ", which " + p.Problem)
		}
	}
}

// openFirst returns the first backend that opens, after a warning for each that did not.
func openFirst(list []target, open func(target) (compute.Backend, error)) (compute.Backend, error) {
	var failed []error
	for _, t := range list {
		be, err := open(t)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		for _, err := range failed {
			slog.Warn("backend: passed over: " + err.Error())
		}
		return be, nil
	}
	return nil, errors.Join(failed...)
}

// opening guards the environment that plugins read when they are opened.
var opening sync.Mutex

// open starts the target, which [Describe] then knows.
func (t target) open() (compute.Backend, error) {
	be, err := t.start()
	if err == nil {
		opened.Store(be, t)
	}
	return be, err
}

// start is the boundary at which panics of the libraries below become errors.
func (t target) start() (be compute.Backend, err error) {
	opening.Lock()
	defer opening.Unlock()
	defer func() {
		if r := recover(); r != nil {
			be, err = nil, fmt.Errorf("opening %s: panic: %v", t, r)
		}
	}()
	switch t.kind {
	case Go:
		if be, err = gobackend.New(t.config()); err != nil {
			return nil, usererr.New("opening %s: %w", t, err) // it fails for unknown options only
		}
		return be, nil
	case XLACPU:
		be, err = withThreads(cmp.Or(t.threads, defaultThreads), func() (compute.Backend, error) { return openXLA(t.config(), t.devices, nil) })
	case XLACUDA:
		if err = setCUDAEnv(t.plugin); err == nil {
			be, err = openXLA(t.config(), 0, t.needs.gpuFlags())
		}
	}
	if err != nil && t.kind == XLACUDA {
		return nil, usererr.New("opening %s: %w; it takes an NVIDIA GPU and its driver, and the backends xla:cpu and go do without", t, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", t, err)
	}
	if shown := be.NumDevices(); shown < t.devices {
		be.Finalize()
		return nil, usererr.New("devices=%d: %s shows %d devices", t.devices, t, shown)
	}
	return be, nil
}
