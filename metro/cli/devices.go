// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
)

// deviceCount is the value of --devices.
type deviceCount int

// devicesUsage says what --devices takes.
const devicesUsage = "devices that share the rows of each step: GPUs, or parts of the processor; their number is part of a run's name, since sums are added in another order"

// Set implements pflag.Value.
func (d *deviceCount) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return usererr.New("--devices %s: it is a whole number from 1 on", text)
	}
	*d = deviceCount(n)
	return nil
}

// String implements pflag.Value.
func (d *deviceCount) String() string { return strconv.Itoa(max(1, int(*d))) }

// Type implements pflag.Value.
func (*deviceCount) Type() string { return "int" }

// of is what --backend says, on so many devices.
func (d deviceCount) of(backend string) (string, error) {
	if d <= 1 {
		return backend, nil
	}
	if strings.Contains(backend, "devices=") {
		return "", usererr.New("--backend %s and --devices %d both say it; leave one out", backend, d)
	}
	return fmt.Sprintf("%s,devices=%d", backend, d), nil
}

// onOneDevice is the user's error where a backend was asked to divide what a command computes, and that does not.
func onOneDevice(divided int) error {
	if divided > 1 {
		return usererr.New("devices=%d: this command computes on one device, and only trainings on several; leave it out of the backend", divided)
	}
	return nil
}
