// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
	"metrolab/notebooks/lab/internal/wire"
	"metrolab/notebooks/lab/local"
)

// do does what a cell asks for, and says how it ended.
func (s *server) do(ctx context.Context, c *cellOf, request wire.Request) wire.End {
	return ending(func() (diverged string, err error) {
		opened, err := s.opened(ctx, request.Text)
		if err != nil {
			return "", err
		}
		if request.Do == wire.Open {
			c.tell(wire.Reply{Text: opened.name})
			return "", nil
		}
		return carryOut(ctx, opened.Runner, c, request)
	})
}

// ending says how something ended. A panic is the cell's, not the worker's.
func ending(do func() (diverged string, err error)) (end wire.End) {
	defer func() {
		if fault := recover(); fault != nil {
			end = wire.End{Panic: fmt.Sprintf("%v\n\n%s", fault, debug.Stack())}
		}
	}()
	diverged, err := do()
	if err == nil {
		return wire.End{Diverged: diverged}
	}
	return wire.End{
		Error: err.Error(), User: usererr.Is(err),
		Interrupted: errors.Is(err, training.ErrInterrupted) || errors.Is(err, context.Canceled),
	}
}

// text is a runner with the text as it was when a cell opened it.
type text struct {
	name string
	*training.Runner
}

// mostTexts is how many texts are known by their names: more than there are cells under way.
const mostTexts = 16

// opened is the text of that name or, if there is none, the text as it is now. What was made of the same text before is there.
func (s *server) opened(ctx context.Context, name string) (text, error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.texts, func(t text) bool { return t.name == name })
	if i >= 0 {
		defer s.mu.Unlock()
		return s.texts[i], nil
	}
	s.mu.Unlock()
	engine, err := s.open()
	if err != nil {
		return text{}, err
	}
	t := text{rand.Text(), engine.Anew()}
	if err := workspace.OpenText(ctx, t.Runner, local.Options()); err != nil {
		return text{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, t)
	s.texts = s.texts[max(0, len(s.texts)-mostTexts):]
	return t, nil
}

// open opens the engine, once.
func (s *server) open() (*training.Runner, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.engine != nil {
		return s.engine, nil
	}
	machine := look()
	engine, err := workspace.OpenEngine(local.Options())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine, s.machine = engine, machine
	return engine, nil
}

// outdated reports whether the machine now offers other engines than when this one was chosen.
func (s *server) outdated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine != nil && s.machine != look()
}

// look says which plugins and accelerators are here.
func look() string {
	machine := backend.Probe()
	words := fmt.Sprint(machine.Plugins, machine.GPUs)
	for _, plugin := range machine.Plugins {
		if info, err := os.Stat(plugin.Path); err == nil {
			words += fmt.Sprint(info.Size(), info.ModTime().UnixNano())
		}
	}
	return words
}

// carryOut does what a cell asks for with a runner.
func carryOut(ctx context.Context, runner *training.Runner, c *cellOf, request wire.Request) (diverged string, err error) {
	switch request.Do {
	case wire.Train, wire.Start:
		var config metro.Config
		if err := request.Config.Decode(&config); err != nil {
			return "", err
		}
		if err := ownParts(request.Parts, config); err != nil {
			return "", err
		}
		if request.Do == wire.Start {
			run, err := local.Background(ctx, runner, request.Name, config)
			if err == nil {
				c.tell(wire.Reply{Run: run.ID})
			}
			return "", err
		}
		return train(ctx, runner, c, request.Name, config)
	case wire.Study:
		var study ablations.Study
		if err := request.Study.Decode(&study); err != nil {
			return "", err
		}
		return "", runStudy(ctx, runner, c, study, request.Parts)
	}
	return "", fmt.Errorf("the lab's worker cannot %q", request.Do)
}

func train(ctx context.Context, runner *training.Runner, c *cellOf, name string, config metro.Config) (diverged string, err error) {
	job, err := runner.Open(ctx, name, config)
	if err != nil {
		return "", err
	}
	c.tell(wire.Reply{Run: job.ID})
	var pace pace
	result, err := job.Train(ctx, func(p training.Progress) {
		if pace.due(p) {
			c.tell(wire.Reply{Progress: &p})
		}
	})
	return result.Diverged, err
}

func runStudy(ctx context.Context, runner *training.Runner, c *cellOf, study ablations.Study, parts map[string]int) error {
	arms, err := study.Arms()
	if err != nil {
		return err
	}
	var configs []metro.Config
	for _, arm := range arms {
		configs = append(configs, arm.Config)
	}
	if err := ownParts(parts, configs...); err != nil {
		return err
	}
	paces := map[int]*pace{} // by the worker of the study
	results, err := study.Run(ctx, runner, study.Workers(runner), func(e ablations.Event) {
		if paces[e.Worker] == nil {
			paces[e.Worker] = &pace{}
		}
		if due := paces[e.Worker].due(e.Progress); due || e.Result != nil {
			if e.Result != nil {
				result := *e.Result
				result.Run = nil // the cell knows where the runs are
				e.Result = &result
			}
			c.tell(wire.Reply{Event: &e})
		}
	})
	if err != nil {
		return err
	}
	_, err = results.Write(filepath.Join(runner.Store.Root, study.Name))
	return err
}

// ownParts is the user's error if the configs name parts that the worker does not have, or has in another version.
func ownParts(ofCell map[string]int, configs ...metro.Config) error {
	here := map[string]int{}
	for _, config := range configs {
		maps.Copy(here, config.Components())
	}
	for _, name := range slices.Sorted(maps.Keys(ofCell)) {
		if here[name] != ofCell[name] {
			return usererr.New("%s is a part of the cell's own, which the lab's worker does not have: train in the cell's own program, by local.Open() of metrolab/notebooks/lab/local",
				name)
		}
	}
	return nil
}

// cellOf is the cell that has asked for something.
type cellOf struct {
	conn *wire.Conn
	gone context.CancelFunc
}

// tell tells the cell. One that does not listen any more has nobody to train for.
func (c *cellOf) tell(r wire.Reply) {
	if c.conn.Send(r) != nil {
		c.gone()
	}
}

// pace lets through what a cell is told of a training: ten times a second, each change of the phase, the first step and the last.
type pace struct {
	last  time.Time
	phase string
}

func (p *pace) due(now training.Progress) bool {
	if now.Phase == p.phase && now.Step < now.Steps && time.Since(p.last) < 100*time.Millisecond {
		return false
	}
	p.phase, p.last = now.Phase, time.Now()
	return true
}
