// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"math"
	"strconv"
)

// Lengths of time in seconds.
const (
	minute = 60.0
	hour   = 60 * minute
	day    = 24 * hour
)

// roundTime is the step of a clock's face that comes next to rough seconds, and a round number of days or of parts of a
// second beyond it.
func roundTime(rough float64) float64 {
	for _, step := range []float64{1, 2, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute,
		hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour} {
		if rough >= 0.8 && step >= 0.8*rough {
			return step
		}
	}
	if rough < 0.8 {
		return roundStep(rough)
	}
	return day * max(1, math.Round(roundStep(rough/day)))
}

// durationLabels write seconds alike, in the largest unit that all of them are whole multiples of.
func durationLabels(values []float64) []string {
	unit, name := 1.0, "s"
	for _, u := range []struct {
		seconds float64
		name    string
	}{{day, "d"}, {hour, "h"}, {minute, "min"}} {
		whole, most := true, 0.0
		for _, v := range values {
			whole = whole && math.Mod(v, u.seconds) == 0
			most = max(most, math.Abs(v))
		}
		if whole && most >= u.seconds {
			unit, name = u.seconds, u.name
			break
		}
	}
	labels := make([]string, len(values))
	for i, v := range values {
		if labels[i] = strconv.FormatFloat(v/unit, 'g', 6, 64); v != 0 {
			labels[i] += "\u202f" + name
		}
	}
	return labels
}
