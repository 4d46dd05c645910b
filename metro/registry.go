// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/support/exceptions"
)

// Part is what every registered part has: the name by which configs choose it, a version, and options of its own. The
// version is raised when what the part computes changes: both are part of a run's identity, so that runs from before and
// after are never taken for one another.
type Part struct {
	Name    string
	Version int // 1 or more
	Options []Option
}

func (p Part) part() Part { return p }

// reads returns the values of the part's options, by name, as values has them. It panics on a name that is none of them.
func (p Part) reads(values Options) func(name string) any {
	return func(name string) any {
		i := slices.IndexFunc(p.Options, func(o Option) bool { return o.Name == name })
		if i < 0 {
			exceptions.Panicf("metro: %q has no option %q", p.Name, name)
		}
		return values.value(p.Options[i])
	}
}

// registry holds the parts of one kind, E, that a config can name.
type registry[E interface{ part() Part }] struct {
	kind    string
	shipped []string // names of this package's own
	mu      sync.RWMutex
	entries map[string]E
}

func newRegistry[E interface{ part() Part }](kind string, shipped ...E) *registry[E] {
	r := &registry[E]{kind: kind, entries: map[string]E{}}
	for _, entry := range shipped {
		r.add(entry)
	}
	r.shipped = r.names()
	return r
}

// add panics on an empty name, a version below 1, a name that is taken and an option that cannot be: all are mistakes of a
// program, seen when it starts.
func (r *registry[E]) add(entry E) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := entry.part()
	if _, taken := r.entries[p.Name]; taken || p.Name == "" || p.Version < 1 {
		exceptions.Panicf("metro: %s %q version %d: the name must be new and not empty, the version 1 or more", r.kind, p.Name, p.Version)
	}
	for _, option := range p.Options {
		if err := option.check(); err != nil {
			exceptions.Panicf("metro: %s %q: %v", r.kind, p.Name, err)
		}
	}
	r.entries[p.Name] = entry
}

// get panics if there is no such entry; [Config.Validate] has seen to that.
func (r *registry[E]) get(name string) E {
	entry, ok := r.find(name)
	if !ok {
		exceptions.Panicf("metro: there is no %s %q", r.kind, name)
	}
	return entry
}

// find returns the zero entry and false for a name that is not registered.
func (r *registry[E]) find(name string) (E, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	entry, ok := r.entries[name]
	return entry, ok
}

// part is the zero Part for a name that is not registered.
func (r *registry[E]) part(name string) Part {
	if entry, ok := r.find(name); ok {
		return entry.part()
	}
	return Part{}
}

// ships reports whether the part of that name is one of this package.
func (r *registry[E]) ships(name string) bool { return slices.Contains(r.shipped, name) }

func (r *registry[E]) names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.entries))
}

// slot is a place in a config that names a registered part and has its options.
type slot struct {
	kind    string // "objective"
	path    string // of the field with the name
	options string // path of the options
	name    string // that stands there
	part    Part   // of that name; the zero Part if there is none
	values  *Options
	prefix  string // of the options' names in values
	first   bool   // the name meant what version 1 of the part is before it was a part
}

// slots lists the places where c names parts.
func (c *Config) slots() []slot {
	list := []slot{
		{kind: "objective", path: "objective.name", options: "objective.options", name: c.Objective.Name, part: objectives.part(c.Objective.Name), values: &c.Objective.Options},
		{kind: "source", path: "replacements.source", options: "replacements.options", name: c.Replacements.Source, part: sources.part(c.Replacements.Source), values: &c.Replacements.Options},
		{kind: "temperature", path: "replacements.temperature_schedule", options: "replacements.temperature_options", name: c.Replacements.TemperatureSchedule,
			part: temperatures.part(c.Replacements.TemperatureSchedule), values: &c.Replacements.TemperatureOptions},
		{kind: "pattern", path: "masking.pattern", options: "masking.options", name: c.Masking.Pattern, part: patterns.part(c.Masking.Pattern), values: &c.Masking.Options},
		{kind: "optimizer", path: "optimizer.name", options: "optimizer.options", name: c.Optimizer.Name, part: optimizers.part(c.Optimizer.Name), values: &c.Optimizer.Options},
		{kind: "embedder", path: "embeddings.kind", options: "embeddings.options", name: c.Embeddings.Kind, part: embedders.part(c.Embeddings.Kind), values: &c.Embeddings.Options},
		{kind: "attention_bias", path: "positions.relative", options: "positions.relative_options", name: c.Positions.Relative,
			part: attentionBiases.part(c.Positions.Relative), values: &c.Positions.RelativeOptions, first: attentionBiases.ships(c.Positions.Relative)},
		{kind: "schedule", path: "optimizer.schedule", options: "optimizer.schedule_options", name: c.Optimizer.Schedule, part: schedules.part(c.Optimizer.Schedule), values: &c.Optimizer.ScheduleOptions},
	}
	list = append(list, slot{kind: "adaptation", path: "task.adaptation", options: "task.adaptation_options", name: c.Task.Adaptation,
		part: adaptations.part(c.Task.Adaptation), values: &c.Task.AdaptationOptions})
	for _, e := range []struct {
		path string
		*Encoder
	}{{"main", &c.Main}, {"generator", &c.Generator}} {
		list = append(list, slot{kind: "feed_forward", path: e.path + ".feed_forward", options: e.path + ".feed_forward_options", name: e.FeedForward,
			part: feedForwards.part(e.FeedForward), values: &e.FeedForwardOptions})
	}
	for _, name := range c.Evaluation.metrics() {
		list = append(list, slot{
			kind: "metric", path: "evaluation.metrics", options: "evaluation.options." + name, name: name, part: metrics.part(name),
			values: &c.Evaluation.Options, prefix: name + ".",
		})
	}
	return list
}

// value returns the value of one of the part's options.
func (s slot) value(option Option) any {
	option.Name = s.prefix + option.Name
	return s.values.value(option)
}

// set changes the value of one of the part's options.
func (s slot) set(option Option, value any) {
	option.Name = s.prefix + option.Name
	*s.values = s.values.with(option, value)
}

// given lists the options that are set, under whatever names: those of the part, and those that it has not.
func (s slot) given() (names []string) {
	for _, name := range s.values.names() {
		if name, ok := strings.CutPrefix(name, s.prefix); ok {
			names = append(names, name)
		}
	}
	return names
}

// Components returns the registered parts that c names, "objective/rtd_clm" and so on, with their versions. They belong
// to a run's identity: another version is another run. Left out are parts that c does not use, and version 1 of a part
// that stands at its field's neutral value, which is as if the field did not exist, or whose name meant the same before it was
// a part.
func (c Config) Components() map[string]int {
	return c.components(func(Class) bool { return true })
}

// components are the parts whose fields are of a class that belongs.
func (c Config) components(belongs func(Class) bool) map[string]int {
	versions := map[string]int{}
	states := c.fields()
	for _, s := range c.slots() {
		if f := states[s.path]; belongs(f.Class) && f.used && (!f.isNeutral() && !s.first || s.part.Version > 1) {
			versions[s.kind+"/"+s.name] = s.part.Version
		}
	}
	return versions
}
