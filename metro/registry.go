// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"maps"
	"slices"
	"sync"

	"github.com/gomlx/gomlx/support/exceptions"
)

// registry holds the parts of one kind that a config can name.
type registry[T any] struct {
	kind    string
	mu      sync.RWMutex
	entries map[string]registered[T]
}

type registered[T any] struct {
	version int
	build   T
}

// add panics on an empty name, a version below 1 and a name that is taken: all three are mistakes of a program, seen
// when it starts.
func (r *registry[T]) add(name string, version int, build T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.entries[name]; taken || name == "" || version < 1 {
		exceptions.Panicf("metro: %s %q version %d: the name must be new and not empty, the version 1 or more", r.kind, name, version)
	}
	if r.entries == nil {
		r.entries = map[string]registered[T]{}
	}
	r.entries[name] = registered[T]{version, build}
}

// get panics if there is no such entry; [Config.Validate] has seen to that.
func (r *registry[T]) get(name string) T {
	r.mu.RLock()
	defer r.mu.RUnlock()
	entry, ok := r.entries[name]
	if !ok {
		exceptions.Panicf("metro: there is no %s %q", r.kind, name)
	}
	return entry.build
}

// version is 0 for a name that is not registered.
func (r *registry[T]) version(name string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.entries[name].version
}

func (r *registry[T]) names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.entries))
}

// Components returns the registered parts that c names, "objective/rtd_clm" and so on, with their versions. They belong
// to a run's identity: another version is another run.
func (c Config) Components() map[string]int {
	versions := map[string]int{
		"objective/" + c.Objective.Name:   objectives.version(c.Objective.Name),
		"source/" + c.Replacements.Source: sources.version(c.Replacements.Source),
	}
	for _, name := range c.Evaluation.metrics() {
		versions["metric/"+name] = metrics.version(name)
	}
	return versions
}
