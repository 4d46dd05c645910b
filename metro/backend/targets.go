// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/usererr"
)

// A target is one backend that could be opened.
type target struct {
	kind    Kind
	plugin  string // absolute path; empty for pure Go
	options []string
	threads int // of XLA on the processor that somebody asked for; 0 if nobody did
	devices int // that each step is divided among; 0 is 1

	needs Needs // of a run, beyond what the target is by itself
}

// String is the target as GoMLX's configuration.
func (t target) String() string {
	if t.kind == Go {
		return "go:" + strings.Join(t.options, ",")
	}
	return "xla:" + t.config()
}

// config is what the constructor of the target's engine takes.
func (t target) config() string {
	if t.kind == Go {
		return strings.Join(t.options, ",")
	}
	options := t.options
	if t.kind == XLACUDA {
		options = append([]string{fmt.Sprintf("tf32=%t", t.needs.TF32)}, options...) // go-xla's default is true
	}
	return strings.Join(append([]string{t.plugin}, options...), ",")
}

// targets returns the backends to try on this machine, best first: at least one, or an error.
func (m Machine) targets(s spec) ([]target, error) {
	list, err := m.engines(s)
	if err != nil {
		return nil, err
	}
	return m.divided(s, list)
}

// engines are the targets without their devices.
func (m Machine) engines(s spec) ([]target, error) {
	for _, option := range s.options {
		if name, _, _ := strings.Cut(option, "="); name == "tf32" || name == "deterministic" {
			return nil, usererr.New("%s: %s is no option of a backend, as results depend on it; a run says training.matmul=tf32, and training.deterministic=true", s.text, name)
		}
	}
	switch {
	case s.engine == "auto" && s.plugin == "" && len(s.options) == 0:
		return m.autoTargets(s)
	case s.engine == "go":
		return []target{{kind: Go, options: s.goOptions()}}, nil
	case s.engine == "xla" && !m.XLA:
		return nil, usererr.New("this program is built without XLA and cannot open %q; "+
			"use go, or build it on Linux amd64 with cgo and without the tag noxla", s.text)
	case s.engine == "xla":
		return m.xlaTargets(s)
	}
	return nil, usererr.New("unknown backend %q; use auto, go, xla:cpu, xla:cuda or xla:/path/to/plugin.so", s.text)
}

func (m Machine) autoTargets(s spec) ([]target, error) {
	var plugins []Plugin
	if m.XLA && len(m.GPUs) > 0 {
		plugins = m.sound(XLACUDA)
	}
	if m.XLA {
		plugins = append(plugins, m.sound(XLACPU)...)
	}
	list, err := s.pluginTargets(plugins)
	return append(list, target{kind: Go, options: s.goOptions()}), err
}

func (m Machine) xlaTargets(s spec) ([]target, error) {
	switch {
	case s.plugin == "" || s.plugin == "cpu":
		return m.kindTargets(s, XLACPU, "./scripts/setup")
	case s.plugin == "cuda":
		return m.kindTargets(s, XLACUDA, "./scripts/setup --cuda")
	case !filepath.IsAbs(s.plugin):
		return nil, usererr.New("unknown XLA plugin %q; use cpu, cuda or the absolute path of a plugin", s.plugin)
	}
	kind, ok := kindOf(s.plugin)
	if !ok {
		return nil, usererr.New("the name of plugin %s says neither cpu nor cuda; rename it or link to it", s.plugin)
	}
	if problem := inspect(realPath(s.plugin, kind), kind); problem != "" {
		return nil, usererr.New("plugin %s %s", s.plugin, problem)
	}
	return s.pluginTargets([]Plugin{{Path: s.plugin, Kind: kind}})
}

// kindTargets are the sound plugins of a kind. Without one the error says where it was looked for and what was broken.
func (m Machine) kindTargets(s spec, kind Kind, setup string) ([]target, error) {
	if sound := m.sound(kind); len(sound) > 0 {
		return s.pluginTargets(sound)
	}
	var broken strings.Builder
	for _, p := range m.Plugins {
		if p.Kind == kind {
			fmt.Fprintf(&broken, "; %s %s", p.Path, p.Problem)
		}
	}
	return nil, usererr.New("no usable %s plugin in %s%s; run %s, or use the backend go",
		kind.label(), strings.Join(m.SearchPath, ", "), broken.String(), setup)
}

func (s spec) pluginTargets(plugins []Plugin) ([]target, error) {
	options, threads, err := s.xlaOptions()
	if err != nil {
		return nil, err
	}
	var list []target
	for _, p := range plugins {
		t := target{kind: p.Kind, plugin: realPath(p.Path, p.Kind), options: options}
		if p.Kind == XLACPU {
			t.threads = threads
		} else if slices.ContainsFunc(s.options, isThreads) {
			return nil, usererr.New("%s: threads are of XLA on the processor, and %s is for a GPU", s.text, t.plugin)
		}
		list = append(list, t)
	}
	return list, nil
}
