// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// process names one process among all that ever ran. Numbers of processes are used again, so its start belongs to it;
// and they mean something only to those who share its machine, boot and container.
type process struct {
	Host  string `json:"host"`
	Space string `json:"space,omitempty"` // boot and process-number namespace; empty where the system does not tell
	PID   int    `json:"pid"`
	Start string `json:"start,omitempty"` // clock ticks from boot; empty where the system does not tell
}

func thisProcess() process {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	namespace, _ := os.Readlink("/proc/self/ns/pid")
	_, start := procStat(os.Getpid())
	return process{
		Host: host, PID: os.Getpid(), Start: start,
		Space: strings.TrimSpace(strings.TrimSpace(string(boot)) + " " + namespace),
	}
}

// sees reports whether the number of another process means to p what it means to that process.
func (p process) sees(other process) bool { return p.Host == other.Host && p.Space == other.Space }

type life int

const (
	dead life = iota
	alive
	unsure // a process has this number, but it may be another one
)

// state looks for a process on this machine.
func (p process) state() life {
	found, err := os.FindProcess(p.PID)
	if err != nil {
		return dead
	}
	defer found.Release()
	if runtime.GOOS != "windows" && errors.Is(found.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		return dead
	}
	state, start := procStat(p.PID)
	switch {
	case state == "Z" || state == "X": // killed, and not yet buried by its parent
		return dead
	case start == "" || p.Start == "":
		return unsure
	case start != p.Start:
		return dead
	default:
		return alive
	}
}

// procStat returns the state and the start of a process as Linux tells them, else nothing.
func procStat(pid int) (state, start string) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	return parseStat(string(text))
}

// parseStat cuts fields 3 and 22 of proc_pid_stat(5) out. The second field is the program's name in parentheses, which
// may hold spaces and parentheses itself.
func parseStat(text string) (state, start string) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return "", ""
	}
	if _, err := strconv.ParseUint(fields[19], 10, 64); err != nil {
		return "", ""
	}
	return fields[0], fields[19]
}
