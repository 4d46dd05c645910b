// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Class says what a field of a config is to a run. It stands in the field's declaration, in the tag "class"; everything
// that must know, the key of the compiled graph, a run's identity, what --set lists, follows from it.
type Class int

// The classes.
const (
	ClassGraph     Class = iota // built into the compiled step: another value is another program
	ClassInput                  //  enters the step as an input, or only the host looks at it
	ClassData                   // what is read: text, weights, held-out rows
	ClassOperation              // how a run is looked after: cadence, what is kept and what is written down. It decides no number
)

var classes = map[string]Class{"graph": ClassGraph, "input": ClassInput, "data": ClassData, "operation": ClassOperation}

// String is the class's name in a tag.
func (c Class) String() string { return [...]string{"graph", "input", "data", "operation"}[c] }

// Field describes one field of a config.
type Field struct {
	Path  string // "objective.rtd_weight"
	Class Class
	// Neutral is the value that is as if the field did not exist, in the form that [Config.Set] takes; HasNeutral says
	// whether there is one. A config from before the field existed is read with it. It never changes, whatever recipes do.
	Neutral    string
	HasNeutral bool
	// IsPath marks what says where something lies: the path of a file or folder, or a place in it. What counts is what lies
	// there; how it is spelled decides nothing.
	IsPath bool
	// Since is the [Schema] that the field came with; 1 for those of the beginning.
	Since int

	when  []string // conditions under which the rest of the config uses the field; see [Config.meets]
	index []int    // of package reflect
}

// declared lists the fields of Config as their tags describe them, by path, in the order of their declaration. The tags are
//
//	json     the name, as in --set
//	class    graph, input, data or operation
//	neutral  the neutral value
//	path     "true" for a path
//	since    the schema that the field came with; none is 1
//	when     conditions, with spaces between, all of which must hold for the field to be in use; see [Config.meets].
//	         Those of a struct are those of its fields, too
var declared = sync.OnceValue(func() []Field { return declaredIn(reflect.TypeFor[Config](), "", nil, nil) })

func declaredIn(t reflect.Type, prefix string, index []int, when []string) (list []Field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path := prefix + name
		at := append(slices.Clone(index), i)
		conditions := append(slices.Clone(when), strings.Fields(f.Tag.Get("when"))...)
		switch {
		case f.Type == reflect.TypeFor[Options]():
		case f.Type.Kind() == reflect.Struct:
			list = append(list, declaredIn(f.Type, path+".", at, conditions)...)
		default:
			class, ok := classes[f.Tag.Get("class")]
			if !ok {
				panic(fmt.Sprintf("metro: field %s has no class", path))
			}
			neutral, has := f.Tag.Lookup("neutral")
			since, _ := strconv.Atoi(f.Tag.Get("since"))
			list = append(list, Field{
				Path: path, Class: class, Neutral: neutral, HasNeutral: has, IsPath: f.Tag.Get("path") == "true", Since: max(1, since),
				when: conditions, index: at,
			})
		}
	}
	return list
}

// state is a field, or an option of a registered part, with what it holds in a config.
type state struct {
	Field
	value   any
	neutral any // nil if there is none
	used    bool
}

func (s state) isNeutral() bool { return s.neutral != nil && s.value == s.neutral }

// fields returns the state of every field of c, and of the options of the parts that it names, by path.
func (c *Config) fields() map[string]state {
	root := reflect.ValueOf(c).Elem()
	states := map[string]state{}
	for _, f := range declared() {
		v := root.FieldByIndex(f.index)
		s := state{Field: f, value: v.Interface()}
		if f.HasNeutral {
			s.neutral = parseAs(v.Type(), f.Neutral)
		}
		states[f.Path] = s
	}
	for path, s := range states {
		s.used = c.meetsAll(s.when, states)
		states[path] = s
	}
	for _, s := range c.slots() {
		for _, option := range s.part.Options {
			path := s.options + "." + option.Name
			states[path] = state{
				Field: Field{Path: path, Class: option.Class, Neutral: fmt.Sprint(option.Neutral), HasNeutral: true},
				value: s.value(option), neutral: option.Neutral, used: states[s.path].used,
			}
		}
	}
	return states
}

// parseAs reads a neutral value; that it can be read is tested for every field.
func parseAs(t reflect.Type, text string) any {
	v := reflect.New(t).Elem()
	if err := assign(v, "neutral", text); err != nil {
		panic(err)
	}
	return v.Interface()
}

func (c *Config) meetsAll(conditions []string, states map[string]state) bool {
	return !slices.ContainsFunc(conditions, func(condition string) bool { return !c.meets(condition, states) })
}

// meets reports whether a condition of a field's tag "when" holds:
//
//	path=value, path!=value   what another field holds, as --set writes it
//	pretraining               the run pretrains
//	samples                   the objective asks for replaced tokens
//	draws                     and they are drawn in the step, from some source
//	generator                 a generator samples them
//	trained_generator         and learns
//	head:rtd|clm              the objective trains one of these heads on the main model
//	tied_head                 some head's output is the token table: a generator's, or the main model's language modelling
//	own_tokenizer             the tokenizer is learned from the text, and did not come with weights
func (c *Config) meets(condition string, states map[string]state) bool {
	if path, value, ok := strings.Cut(condition, "!="); ok {
		return text(states[path].value) != value
	}
	if path, value, ok := strings.Cut(condition, "="); ok {
		return text(states[path].value) == value
	}
	o, s := c.objective(), c.source()
	use := s.Generator
	unknown := o.Name == "" || s.Name == "" // a config that does not hold: everything is in use
	switch name, of, _ := strings.Cut(condition, ":"); name {
	case "pretraining":
		return c.Task.Name == ""
	case "samples":
		return unknown || o.Samples
	case "draws":
		return unknown || o.Samples && !c.drawnBefore()
	case "generator":
		return unknown || o.Samples && use != GeneratorUnused
	case "trained_generator":
		return unknown || o.Samples && (use == GeneratorTrained || use == GeneratorUnknown)
	case "head":
		if unknown || o.Heads == nil {
			return true
		}
		trained := o.Heads(*c)
		return slices.ContainsFunc(strings.Split(of, "|"), func(head string) bool { return slices.Contains(trained, head) })
	case "tied_head":
		return c.Task.Name == "" && (c.meets("generator", states) || c.meets("head:clm|lm", states))
	case "own_tokenizer":
		return c.Training.InitFrom == "" && c.Replacements.Checkpoint == ""
	}
	panic("metro: unknown condition " + condition)
}

// text is a value as --set writes it.
func text(value any) string {
	if x, ok := value.(float64); ok {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprint(value)
}

// FieldState says what a field is, and what a config makes of it.
type FieldState struct {
	Field
	Value     any  // string, bool, int, int64 or float64
	InUse     bool // false where the rest of the config makes the field idle, whatever it holds
	AtNeutral bool // whether the value is the neutral one
}

// Fields lists every field of c, and the options of the parts that it names, in the order of their paths.
func (c Config) Fields() []FieldState {
	var list []FieldState
	for _, s := range c.fields() {
		list = append(list, FieldState{s.Field, s.value, s.used, s.isNeutral()})
	}
	slices.SortFunc(list, func(a, b FieldState) int { return strings.Compare(a.Path, b.Path) })
	return list
}
