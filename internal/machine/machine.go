// SPDX-License-Identifier: Apache-2.0

// Package machine says what the computer is that this program runs on: its processor, memory and GPUs, as Linux lists them
// in /proc. Elsewhere there is nothing to read, and everything is empty or 0.
package machine

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Memory returns the bytes of the machine's memory, and how many of them can still be taken without swapping. A limit of
// the container is not considered.
func Memory() (total, available uint64) {
	text, _ := os.ReadFile("/proc/meminfo")
	return parseMemory(string(text))
}

// MemoryLimit returns the bytes of memory that this program can have: of the machine, or fewer where a container or a control
// group has a limit; 0 where nothing is known.
func MemoryLimit() uint64 {
	total, _ := Memory()
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, _ := os.ReadFile(file)
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && (total == 0 || limit < total) {
			total = limit
		}
	}
	return total
}

func parseMemory(meminfo string) (total, available uint64) {
	return kibibytes(field(meminfo, "MemTotal")), kibibytes(field(meminfo, "MemAvailable"))
}

func kibibytes(value string) uint64 {
	number, _, _ := strings.Cut(value, " ")
	n, _ := strconv.ParseUint(number, 10, 64)
	return n << 10
}

// CPU returns the name of the first processor, empty where it has none, as on most of ARM, and those of its features, in
// the kernel's words, that decide which kernels run: they change how fast sums are computed and in which order.
func CPU() (model string, features []string) {
	text, _ := os.ReadFile("/proc/cpuinfo")
	return parseCPU(string(text))
}

// Flags returns all features of the first processor, in the kernel's words: code that was compiled for one set may not run
// on another.
func Flags() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	return field(string(text), "flags") + field(string(text), "Features")
}

func parseCPU(cpuinfo string) (model string, features []string) {
	features = append(matching(amd64Features, field(cpuinfo, "flags")), matching(arm64Features, field(cpuinfo, "Features"))...)
	slices.Sort(features)
	return field(cpuinfo, "model name"), features
}

// Accelerators returns the models of the NVIDIA GPUs that the driver shows, in the order of their names.
func Accelerators() (models []string) {
	paths, _ := filepath.Glob("/proc/driver/nvidia/gpus/*/information")
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil {
			models = append(models, field(string(text), "Model"))
		}
	}
	slices.Sort(models)
	return models
}

// Numerical code is compiled, or chosen when a program starts, for these.
var (
	amd64Features = regexp.MustCompile(`^(sse4_2|fma|f16c|avx.*|amx_.*)$`)
	arm64Features = regexp.MustCompile(`^(asimd|asimdhp|asimddp|asimdfhm|fphp|bf16|i8mm|sve.*|sme.*)$`)
)

func matching(pattern *regexp.Regexp, words string) (found []string) {
	for word := range strings.FieldsSeq(words) {
		if pattern.MatchString(word) {
			found = append(found, word)
		}
	}
	return found
}

// field returns the first value of a text of lines "name : value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
