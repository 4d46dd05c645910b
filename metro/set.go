// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/spelling"
	"metrolab/internal/usererr"
)

// Set changes one field of c by assignment, "path=value", where path is made of the JSON names: "optimizer.learning_rate=2e-3". An
// unknown path is an error that names the nearest right one; a value of the wrong type is an error that says which
// type is wanted. c is unchanged on error.
//
// Three paths stand for several fields: "generator.size=RULE" gives the generator the shape that [SizeGenerator] makes of
// the main model's at that moment, "generator.width_ratio=R" narrows it (see [Narrow]) and leaves its depth, and
// "main.width_ratio=R" narrows the main model itself.
func (c *Config) Set(assignment string) error {
	path, value, ok := strings.Cut(assignment, "=")
	if !ok {
		return usererr.New("%q is not an assignment; write path=value, for example optimizer.learning_rate=2e-3", assignment)
	}
	path, value = strings.TrimSpace(path), strings.TrimSpace(value)
	if shorthand, ok := shorthands[path]; ok {
		return shorthand(c, value)
	}
	for _, f := range declared() {
		if f.Path == path {
			return assign(reflect.ValueOf(c).Elem().FieldByIndex(f.index), path, value)
		}
	}
	if set, err := c.setOption(path, value); set || err != nil {
		return err
	}
	return usererr.New("there is no config field %q; did you mean %q?", path, spelling.Nearest(path, slices.Concat(c.Paths(), slices.Sorted(maps.Keys(shorthands)))))
}

// setOption sets an option of one of the parts that c names. It reports false if the path is no option's.
func (c *Config) setOption(path, value string) (bool, error) {
	for _, s := range c.slots() {
		name, ok := strings.CutPrefix(path, s.options+".")
		if !ok {
			continue
		}
		option, err := s.option(name)
		if err != nil {
			return true, err
		}
		parsed, err := option.parse(value)
		if err != nil {
			return true, usererr.New("%s %w", path, err)
		}
		s.set(option, parsed)
		return true, nil
	}
	return false, nil
}

// option finds an option of the part, or says which there are.
func (s slot) option(name string) (Option, error) {
	var names []string
	for _, option := range s.part.Options {
		if option.Name == name {
			return option, nil
		}
		names = append(names, option.Name)
	}
	if len(names) == 0 {
		return Option{}, usererr.New("%s.%s: %s %q has no options", s.options, name, s.kind, s.name)
	}
	return Option{}, usererr.New("%s.%s: %s %q has no such option; it has %s", s.options, name, s.kind, s.name, strings.Join(names, ", "))
}

// Option returns the value of an option of a part that c names, by its path, "objective.options.gamma": a float64, int, bool
// or string, as its neutral value is. It panics if the part has no such option.
func (c Config) Option(path string) any {
	for _, s := range c.slots() {
		if name, ok := strings.CutPrefix(path, s.options+"."); ok {
			option, err := s.option(name)
			if err != nil {
				panic(err)
			}
			return s.value(option)
		}
	}
	panic("metro: " + path + " is no option's path")
}

// optionsAt returns [Config.Option] for the options below a path.
func (c Config) optionsAt(path string) func(name string) any {
	return func(name string) any { return c.Option(path + "." + name) }
}

// InputOptions lists the paths of the options that enter the graph as inputs, sorted: of the parts that c names, those of
// the class [ClassInput]. The options of a schedule are not among them: only the host looks at it.
func (c Config) InputOptions() []string {
	var paths []string
	states := c.fields()
	for _, s := range c.slots() {
		if states[s.path].Class != ClassGraph {
			continue
		}
		for _, option := range s.part.Options {
			if option.Class == ClassInput {
				paths = append(paths, s.options+"."+option.Name)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// shorthands are assignments that set several fields.
var shorthands = map[string]func(c *Config, value string) error{
	"generator.size": func(c *Config, rule string) error {
		sized, err := SizeGenerator(c.Main, rule)
		if err != nil {
			return usererr.New("generator.size: %w", err)
		}
		c.resizeGenerator(sized)
		return nil
	},
	"generator.width_ratio": func(c *Config, value string) error {
		ratio, err := parseRatio("generator", value)
		if err != nil {
			return err
		}
		sized := Narrow(c.Main, ratio)
		sized.Layers = c.Generator.Layers
		c.resizeGenerator(sized)
		return nil
	},
	"main.width_ratio": func(c *Config, value string) error {
		ratio, err := parseRatio("main", value)
		if err == nil {
			c.Main = Narrow(c.Main, ratio)
		}
		return err
	},
}

func parseRatio(encoder, value string) (float64, error) {
	ratio, err := strconv.ParseFloat(value, 64)
	if err != nil || !(ratio > 0 && ratio <= 4) {
		return 0, usererr.New("%s.width_ratio wants a number above 0, at most 4, not %q", encoder, value)
	}
	return ratio, nil
}

// resizeGenerator takes the shape of e and nothing else.
func (c *Config) resizeGenerator(e Encoder) {
	g := &c.Generator
	g.Layers, g.Width, g.Heads, g.FFN = e.Layers, e.Width, e.Heads, e.FFN
}

// Paths lists the path of every field of c, and of the options of the parts that it names, sorted.
func (c *Config) Paths() []string {
	var paths []string
	for _, f := range declared() {
		paths = append(paths, f.Path)
	}
	for _, s := range c.slots() {
		for _, option := range s.part.Options {
			paths = append(paths, s.options+"."+option.Name)
		}
	}
	slices.Sort(paths)
	return paths
}

func assign(field reflect.Value, path, value string) error {
	switch field.Kind() {
	case reflect.String:
		field.SetString(value)
	case reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return usererr.New("%s wants true or false, not %q", path, value)
		}
		field.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return usererr.New("%s wants a whole number, not %q", path, value)
		}
		field.SetInt(n)
	default:
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || x != x || x-x != 0 {
			return usererr.New("%s wants a finite number, not %q", path, value)
		}
		field.SetFloat(x)
	}
	return nil
}
