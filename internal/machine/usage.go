// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"os"
	"strconv"
	"strings"
)

// Load returns how many threads of the whole machine wanted a core, on average over the last minute. It is false where that is
// not known.
func Load() (average float64, known bool) {
	text, _ := os.ReadFile("/proc/loadavg")
	return parseLoad(string(text))
}

func parseLoad(loadavg string) (average float64, known bool) {
	first, _, _ := strings.Cut(loadavg, " ")
	average, err := strconv.ParseFloat(first, 64)
	return average, err == nil
}

// PeakMemory returns the most bytes of memory that this process has held at once since it began, or since [ResetPeakMemory]; 0
// where that is not known.
func PeakMemory() uint64 {
	text, _ := os.ReadFile("/proc/self/status")
	return kibibytes(field(string(text), "VmHWM"))
}

// ResetPeakMemory makes [PeakMemory] begin anew from what the process holds now. It reports whether the system lets it.
func ResetPeakMemory() bool {
	const resetPeak = "5" // see proc(5), clear_refs
	return os.WriteFile("/proc/self/clear_refs", []byte(resetPeak), 0) == nil
}
