// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"os"
	"strconv"
	"strings"

	"metrolab/internal/machine"
)

// Memory is in bytes; a number is 0 where the system does not say.
type Memory struct {
	Total     uint64 // of the machine, or of the container if that is less
	Available uint64 // what can still be taken without swapping
}

// readMemory asks the machine, and the control group for its limit, both of which only Linux can tell.
func readMemory() Memory {
	total, available := machine.Memory()
	limit, _ := os.ReadFile("/sys/fs/cgroup/memory.max")
	used, _ := os.ReadFile("/sys/fs/cgroup/memory.current")
	return Memory{total, available}.within(string(limit), string(used))
}

// within returns what a control group leaves of the machine's memory.
func (m Memory) within(cgroupMax, cgroupCurrent string) Memory {
	limit, err := strconv.ParseUint(strings.TrimSpace(cgroupMax), 10, 64) // "max" means no limit
	if err != nil || limit >= m.Total {
		return m
	}
	m.Total = limit
	used, _ := strconv.ParseUint(strings.TrimSpace(cgroupCurrent), 10, 64)
	m.Available = min(m.Available, limit-min(used, limit))
	return m
}
