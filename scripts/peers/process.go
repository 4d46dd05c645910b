// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// about is what a process says of itself once it is warm.
type about struct {
	Version    string               `json:"version"`
	Parameters int                  `json:"parameters"`
	FLOPs      float64              `json:"flops"` // of the matrix products of a step; 0 where they cannot be counted
	Losses     []map[string]float64 `json:"losses"`
}

// answer is what it says after some steps.
type answer struct {
	Loss map[string]float64 `json:"loss"`
}

// process is one of those that are measured.
type process struct {
	about about

	command *exec.Cmd
	orders  io.WriteCloser
	answers *json.Decoder
	log     *os.File
}

// start starts a process and waits until it is warm. What it says on its standard error goes into the file log.
func start(ctx context.Context, log string, env []string, words ...string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.CommandContext(ctx, words[0], words[1:]...), log: file}
	p.command.Env, p.command.Stderr = append(os.Environ(), env...), file
	if p.orders, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	p.answers = json.NewDecoder(bufio.NewReader(out))
	if err := p.answers.Decode(&p.about); err != nil {
		return nil, p.fail(err)
	}
	return p, nil
}

// fail ends a process that does not answer, and says why as it said itself.
func (p *process) fail(err error) error {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
	_ = p.log.Close()
	if said := lastLine(p.log.Name()); said != "" {
		err = errors.New(said)
	}
	return fmt.Errorf("%w (see %s)", err, p.log.Name())
}

func lastLine(path string) string {
	raw, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// cost is what some steps took.
type cost struct {
	Wall      float64 `json:"wall_seconds"`
	Processor float64 `json:"processor_seconds"` // of all threads, in user mode and in the kernel
}

// run has the process do so many steps.
func (p *process) run(steps int) (cost, answer, error) {
	var a answer
	before, err := p.processorSeconds()
	if err != nil {
		return cost{}, a, p.fail(err)
	}
	started := time.Now()
	if _, err := fmt.Fprintln(p.orders, steps); err != nil {
		return cost{}, a, p.fail(err)
	}
	if err := p.answers.Decode(&a); err != nil {
		return cost{}, a, p.fail(err)
	}
	wall := time.Since(started).Seconds()
	after, err := p.processorSeconds()
	if err != nil {
		return cost{}, a, p.fail(err)
	}
	return cost{wall, after - before}, a, nil
}

// stop tells the process that there is no more to do.
func (p *process) stop() error {
	return errors.Join(p.orders.Close(), p.command.Wait(), p.log.Close())
}

// clockTick is the unit of times in /proc, fixed by the kernel's interface on Linux.
const clockTick = 0.01

// processorSeconds is the time that the threads of the process have had.
func (p *process) processorSeconds() (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(raw))
}

// parseStat adds up utime and stime of a line of /proc/PID/stat: the 14th and 15th fields, of which the second is a name in
// parentheses that may hold anything.
func parseStat(line string) (float64, error) {
	fields := strings.Fields(line[strings.LastIndex(line, ")")+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%d fields in the state of a process", len(fields))
	}
	var ticks float64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return ticks * clockTick, nil
}

// peakMemory is the largest resident set that the process has had, in bytes.
func (p *process) peakMemory() (int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(string(raw))
}

func parsePeak(status string) (int, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return n << 10, err
		}
	}
	return 0, errors.New("the system does not say how much memory a process has had")
}

// load is the number of runnable threads of the machine, averaged over the last minute.
func load() float64 {
	raw, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(raw), " ")
	n, _ := strconv.ParseFloat(first, 64)
	return n
}
