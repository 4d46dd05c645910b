// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"os"
	"strconv"
	"strings"
)

// Memory is in bytes; a number is 0 where the system does not say.
type Memory struct {
	Total     uint64 // of the machine, or of the container if that is less
	Available uint64 // what can still be taken without swapping
}

// readMemory reads the kernel's table and the limit of the control group, both of which only Linux has.
func readMemory() Memory {
	table, _ := os.ReadFile("/proc/meminfo")
	limit, _ := os.ReadFile("/sys/fs/cgroup/memory.max")
	used, _ := os.ReadFile("/sys/fs/cgroup/memory.current")
	return parseMemory(string(table), string(limit), string(used))
}

func parseMemory(meminfo, cgroupMax, cgroupCurrent string) Memory {
	m := Memory{Total: meminfoBytes(meminfo, "MemTotal:"), Available: meminfoBytes(meminfo, "MemAvailable:")}
	limit, err := strconv.ParseUint(strings.TrimSpace(cgroupMax), 10, 64) // "max" means no limit
	if err != nil || limit >= m.Total {
		return m
	}
	m.Total = limit
	used, _ := strconv.ParseUint(strings.TrimSpace(cgroupCurrent), 10, 64)
	m.Available = min(m.Available, limit-min(used, limit))
	return m
}

func meminfoBytes(table, key string) uint64 {
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == key {
			kib, _ := strconv.ParseUint(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
