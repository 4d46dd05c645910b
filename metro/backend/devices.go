// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"slices"
	"strconv"

	"metrolab/internal/usererr"
)

// mostParts is how many devices a processor is divided into at most.
const mostParts = 64

// several is what a spec asks for by devices=N: on how many devices each step is computed, 1 if it does not say.
func (s spec) several() (int, error) {
	if s.devices == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(s.devices)
	if err != nil || n < 1 {
		return 0, usererr.New("%s: devices are a whole number from 1 on, and not %q", s.text, s.devices)
	}
	return n, nil
}

// divided gives the targets of a spec the devices that it asks for. The first target's kind is the only one then: whoever asks for
// several GPUs is not helped by another engine.
func (m Machine) divided(s spec, list []target) ([]target, error) {
	n, err := s.several()
	if err != nil || n == 1 {
		return list, err
	}
	kind := list[0].kind
	switch {
	case kind == Go:
		return nil, usererr.New("devices=%d: pure Go has one device; XLA has several, which ./scripts/setup installs", n)
	case kind == XLACUDA && n > len(m.GPUs):
		return nil, usererr.New("devices=%d: there are not so many NVIDIA GPUs here, but %d; ask for no more, or for parts of the processor with the backend xla:cpu", n, len(m.GPUs))
	case kind == XLACPU && n > mostParts:
		return nil, usererr.New("devices=%d: the processor is divided into %d devices at most", n, mostParts)
	}
	list = slices.DeleteFunc(list, func(t target) bool { return t.kind != kind })
	for i := range list {
		list[i].devices = n
	}
	return list, nil
}
