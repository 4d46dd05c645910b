// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"metrolab/internal/usererr"
)

// check returns the user's error if r makes no sense.
func (r Request) check() error {
	t := r.Config.Training
	parts := max(1, t.Accumulate)
	switch {
	case r.Devices < 1:
		return usererr.New("%d devices train nothing; one is the least", r.Devices)
	case !(r.MFU > 0 && r.MFU <= 1):
		return usererr.New("the utilization must be above 0 and at most 1, it is %g; 0.4 is 40 %% of the peak", r.MFU)
	case !(r.Device.Peak > 0):
		return usererr.New("the peak of %s must be above 0 FLOP/s, it is %g", r.Device.Name, r.Device.Peak)
	case t.BatchSize%(r.Devices*parts) != 0:
		return usererr.New("training.batch_size=%d is not divided by %d devices in %d parts each; make it a multiple of %d", t.BatchSize, r.Devices, parts, r.Devices*parts)
	}
	return r.Config.Validate()
}

// ParseSharding reads one of the names of [Shardings].
func ParseSharding(name string) (Sharding, error) {
	i := slices.Index(Shardings(), name)
	if i < 0 {
		return 0, usererr.New("there is no sharding %q; there are %s", name, strings.Join(Shardings(), ", "))
	}
	return Sharding(i), nil
}
