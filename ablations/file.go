// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"metrolab/internal/strictyaml"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// studyKey is a key of a study's file, with how it is read and written. They are read in the order of studyKeys, whatever
// the file's: arms are changes to a baseline.
type studyKey struct {
	name   string
	fields []string // of [Study] that it stands for
	read   func(d studyFile, s *Study, n *yaml.Node) error
	write  func(s Study) (*yaml.Node, error) // nil where the key is left out
}

var studyKeys = []studyKey{
	{"name", []string{"Name"},
		func(d studyFile, s *Study, n *yaml.Node) (err error) { s.Name, err = d.Text(n); return err },
		func(s Study) (*yaml.Node, error) { return strictyaml.Scalar(s.Name), nil }},
	{"question", []string{"Question"},
		func(d studyFile, s *Study, n *yaml.Node) (err error) { s.Question, err = d.Text(n); return err },
		func(s Study) (*yaml.Node, error) { return strictyaml.Scalar(s.Question), nil }},
	{"baseline", []string{"Recipe", "Baseline"}, studyFile.baseline, writtenBaseline},
	{"arms", []string{"Changes"}, studyFile.arms, writtenArms},
	{"seeds", []string{"Seeds"}, studyFile.seeds, writtenSeeds},
	{"outcome", []string{"Outcome"}, studyFile.outcome, writtenOutcome},
	{"margin", []string{"Margin"}, studyFile.margin, writtenMargin},
	{"until", []string{"UntilDecided"}, studyFile.until, writtenUntil},
	{"matching", []string{"Matching"},
		func(d studyFile, s *Study, n *yaml.Node) (err error) { s.Matching, err = d.Text(n); return err },
		func(s Study) (*yaml.Node, error) {
			if s.Matching == "" {
				return nil, nil
			}
			return strictyaml.Scalar(s.Matching), nil
		}},
	{"finetune", []string{"Finetune"}, studyFile.finetune, writtenFinetune},
	{"fork", []string{"Fork"}, studyFile.fork, writtenFork},
}

// ReadStudy reads a study from a YAML file; see [ParseStudy].
func ReadStudy(path string) (Study, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Study{}, usererr.New("read the study: %w", err)
	}
	return ParseStudy(path, text)
}

// ParseStudy reads a study from YAML; path stands in the errors. Its keys are those of [Study]:
//
//	name: bias
//	question: Does a relative position bias help?
//	baseline:
//	  recipe: tiny
//	  set: {training.steps: 1200}
//	arms:
//	  - name: no bias
//	    set: {positions.relative: none}
//	  - one_factor: {objective.rtd_weight: [10, 20]}
//	  - grid: {optimizer.learning_rate: [1e-3, 2e-3], main.layers: [1, 2]}
//	  - ladder:
//	      - {name: RTD, set: {objective.name: rtd}}
//	      - {name: and half the masks, set: {masking.rate: 0.075}}
//	seeds: [0, 1, 2]
//	outcome: frozen_auc_unigram
//	margin: 0.02
//	until: decided
//
// one_factor, grid and ladder are [OneFactor], [Grid] and [Ladder]. An outcome is a name of [OutcomeOf], or a mapping of metric,
// label and better; matching is one of [Matchings]. A value is taken as it is written, as --set takes it.
//
// It is strict: a key that is not known or stands twice, a value of another kind, an anchor, an alias, a tag and a second
// document are the user's errors, with the line, and so is a study that [Study.Arms] refuses.
func ParseStudy(path string, text []byte) (Study, error) {
	d := strictyaml.Document{Path: path}
	root, err := d.Root(text)
	if err != nil {
		return Study{}, err
	}
	return StudyAt(d, root)
}

// StudyAt is [ParseStudy] for a study that is a part of a file.
func StudyAt(document strictyaml.Document, root *yaml.Node) (Study, error) {
	var s Study
	d := studyFile{document}
	if err := d.Keys(root, studyNames(), func(key string, n *yaml.Node) error {
		return studyKeys[slices.IndexFunc(studyKeys, func(k studyKey) bool { return k.name == key })].read(d, &s, n)
	}); err != nil {
		return Study{}, err
	}
	if s.Recipe == "" {
		return Study{}, d.Fault(root, `the study has no baseline; write "baseline: {recipe: tiny}"`)
	}
	if _, err := s.Arms(); err != nil {
		return Study{}, d.Fault(root, "%w", err)
	}
	return s, nil
}

// YAML writes the study as [ParseStudy] reads it, grids and ladders as their arms. A study whose baseline is not made of a
// recipe that ships has no such file, which is the user's error.
func (s Study) YAML() ([]byte, error) {
	root := strictyaml.Mapping()
	for _, key := range studyKeys {
		n, err := key.write(s)
		if err != nil {
			return nil, err
		}
		if n != nil {
			strictyaml.Put(root, key.name, n)
		}
	}
	text, err := strictyaml.Encode(root)
	if err != nil {
		return nil, fmt.Errorf("write study %q: %w", s.Name, err)
	}
	return text, nil
}

func studyNames() (names []string) {
	for _, key := range studyKeys {
		names = append(names, key.name)
	}
	return names
}

// studyFile reads the parts of a study.
type studyFile struct{ strictyaml.Document }

// baseline reads a recipe and what is set in it.
func (d studyFile) baseline(s *Study, n *yaml.Node) error {
	return d.Keys(n, []string{"recipe", "set"}, func(key string, value *yaml.Node) (err error) {
		if key == "recipe" {
			if s.Recipe, err = d.Text(value); err == nil {
				s.Baseline, err = recipes.Get(s.Recipe)
			}
			return d.At(value, err)
		}
		if s.Recipe == "" {
			return d.Fault(n, "the baseline names no recipe; there are %s", strings.Join(recipes.Names(), ", "))
		}
		set, err := d.assignments(value, s.Baseline)
		if err != nil {
			return err
		}
		return d.At(value, assign(&s.Baseline, set))
	})
}

// assignments reads settings of c by their paths. Each must be one that c can have.
func (d studyFile) assignments(n *yaml.Node, c metro.Config) (set []string, err error) {
	err = d.Each(n, func(key, value *yaml.Node) error {
		text, err := d.Text(value)
		if err != nil {
			return err
		}
		assignment := key.Value + "=" + text
		if strings.Contains(key.Value, "=") {
			return d.Fault(key, "%q is not the path of a setting", key.Value)
		}
		if !strings.HasPrefix(assignment, finetunePrefix) {
			err = c.Set(assignment)
		}
		set = append(set, assignment)
		return d.At(key, err)
	})
	return set, err
}

// arms reads a list of changes, of which an element may stand for several.
func (d studyFile) arms(s *Study, n *yaml.Node) error {
	return d.List(n, func(element *yaml.Node) error {
		kind := ""
		if element.Kind == yaml.MappingNode && len(element.Content) == 2 {
			kind = element.Content[0].Value
		}
		var changes []Change
		var err error
		switch kind {
		case "one_factor", "grid":
			expand := map[string]func(metro.Config, ...Axis) ([]Change, error){"one_factor": OneFactor, "grid": Grid}[kind]
			var axes []Axis
			if axes, err = d.axes(element.Content[1]); err == nil {
				changes, err = expand(s.Baseline, axes...)
				err = d.At(element, err)
			}
		case "ladder":
			var rungs []Change
			err = d.List(element.Content[1], func(rung *yaml.Node) error {
				change, err := d.change(rung, s.Baseline)
				rungs = append(rungs, change)
				return err
			})
			changes = Ladder(rungs...)
		default:
			changes = make([]Change, 1)
			changes[0], err = d.change(element, s.Baseline)
		}
		s.Changes = append(s.Changes, changes...)
		return err
	})
}

// change reads one arm. Without a name it is named by what it sets.
func (d studyFile) change(n *yaml.Node, baseline metro.Config) (c Change, err error) {
	err = d.Keys(n, []string{"name", "set"}, func(key string, value *yaml.Node) (err error) {
		if key == "name" {
			c.Name, err = d.Text(value)
		} else {
			c.Set, err = d.assignments(value, baseline)
		}
		return err
	})
	if err == nil && len(c.Set) == 0 {
		return c, d.Fault(n, `an arm sets something: "set: {path: value}"; or it is a one_factor, a grid or a ladder alone`)
	}
	if c.Name == "" && err == nil {
		c.Name = NameOf(c.Set)
	}
	return c, err
}

func (d studyFile) axes(n *yaml.Node) (axes []Axis, err error) {
	err = d.Each(n, func(key, value *yaml.Node) error {
		axis := Axis{Path: key.Value}
		err := d.List(value, func(element *yaml.Node) error {
			text, err := d.Text(element)
			axis.Values = append(axis.Values, text)
			return err
		})
		axes = append(axes, axis)
		return err
	})
	return axes, err
}

func (d studyFile) seeds(s *Study, n *yaml.Node) error {
	return d.List(n, func(element *yaml.Node) error {
		seed, err := d.Whole(element)
		s.Seeds = append(s.Seeds, seed)
		return err
	})
}

func (d studyFile) margin(s *Study, n *yaml.Node) (err error) {
	s.Margin, err = d.Number(n)
	return err
}

func (d studyFile) until(s *Study, n *yaml.Node) error {
	text, err := d.Text(n)
	if err != nil {
		return err
	}
	if s.UntilDecided = text == UntilDecided; !s.UntilDecided {
		return d.Fault(n, "until is %q, or is left out for a fixed number of seeds, and not %q", UntilDecided, text)
	}
	return nil
}

func (d studyFile) outcome(s *Study, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		metric, err := d.Text(n)
		s.Outcome = OutcomeOf(metric)
		return err
	}
	return d.Keys(n, []string{"metric", "label", "better"}, func(key string, value *yaml.Node) error {
		text, err := d.Text(value)
		switch key {
		case "metric":
			s.Outcome = OutcomeOf(text)
		case "label":
			s.Outcome.Label = text
		case "better":
			s.Outcome.Better = Direction(text)
		}
		return err
	})
}

func (d studyFile) finetune(s *Study, n *yaml.Node) error {
	s.Finetune = new(Finetuning)
	return d.Keys(n, []string{"task", "data", "steps", "set"}, func(key string, value *yaml.Node) (err error) {
		switch key {
		case "task":
			s.Finetune.Task, err = d.Text(value)
		case "data":
			s.Finetune.Data, err = d.Text(value)
		case "steps":
			var steps int64
			steps, err = d.Whole(value)
			s.Finetune.Steps = int(steps)
		case "set":
			s.Finetune.Set, err = d.assignments(value, s.Baseline)
		}
		return err
	})
}

func mappingOf(set []string) *yaml.Node {
	n := strictyaml.Mapping()
	for _, a := range set {
		_, value, _ := strings.Cut(a, "=")
		strictyaml.Put(n, pathOf(a), strictyaml.Scalar(strings.TrimSpace(value)))
	}
	return n
}

func writtenBaseline(s Study) (*yaml.Node, error) {
	set, err := s.baselineSet()
	if err != nil {
		return nil, err
	}
	n := strictyaml.Mapping()
	strictyaml.Put(n, "recipe", strictyaml.Scalar(s.Recipe))
	if len(set) > 0 {
		strictyaml.Put(n, "set", mappingOf(set))
	}
	return n, nil
}

// baselineSet is what makes the baseline of its recipe.
func (s Study) baselineSet() ([]string, error) {
	c, err := recipes.Get(s.Recipe)
	if err != nil {
		return nil, usererr.New("study %q: %w, so that a file cannot say what its baseline is", s.Name, err)
	}
	want := s.Baseline
	want.Seed = c.Seed
	var set []string
	for range 2 { // what is chosen, and then the options that it has
		before := map[string]any{}
		for _, f := range c.Fields() {
			before[f.Path] = f.Value
		}
		for _, f := range want.Fields() {
			if was, known := before[f.Path]; !known || !f.InUse || was == f.Value {
				continue
			}
			set = append(set, f.Path+"="+valueText(f.Value))
			if err := c.Set(set[len(set)-1]); err != nil {
				return nil, fmt.Errorf("study %q: %w", s.Name, err)
			}
		}
	}
	if armText(Arm{Config: c}) != armText(Arm{Config: want}) {
		return nil, usererr.New("study %q: no settings of the recipe %s make its baseline, so that a file cannot say what it is", s.Name, s.Recipe)
	}
	return set, nil
}

// valueText is a field's value as [metro.Config.Set] takes it.
func valueText(value any) string {
	if x, ok := value.(float64); ok {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprint(value)
}

func writtenArms(s Study) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, change := range s.Changes {
		arm := strictyaml.Mapping()
		strictyaml.Put(arm, "name", strictyaml.Scalar(change.Name))
		strictyaml.Put(arm, "set", mappingOf(change.Set))
		n.Content = append(n.Content, arm)
	}
	return n, nil
}

func writtenSeeds(s Study) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, seed := range s.Seeds {
		n.Content = append(n.Content, strictyaml.Scalar(strconv.FormatInt(seed, 10)))
	}
	return n, nil
}

func writtenMargin(s Study) (*yaml.Node, error) {
	if s.Margin == 0 {
		return nil, nil
	}
	return strictyaml.Scalar(valueText(s.Margin)), nil
}

func writtenUntil(s Study) (*yaml.Node, error) {
	if !s.UntilDecided {
		return nil, nil
	}
	return strictyaml.Scalar(UntilDecided), nil
}

func writtenOutcome(s Study) (*yaml.Node, error) {
	if s.Outcome == OutcomeOf(s.Outcome.Metric) {
		return strictyaml.Scalar(s.Outcome.Metric), nil
	}
	n := strictyaml.Mapping()
	strictyaml.Put(n, "metric", strictyaml.Scalar(s.Outcome.Metric))
	strictyaml.Put(n, "label", strictyaml.Scalar(s.Outcome.Label))
	strictyaml.Put(n, "better", strictyaml.Scalar(string(s.Outcome.Better)))
	return n, nil
}

func writtenFinetune(s Study) (*yaml.Node, error) {
	if s.Finetune == nil {
		return nil, nil
	}
	n := strictyaml.Mapping()
	strictyaml.Put(n, "task", strictyaml.Scalar(s.Finetune.Task))
	if s.Finetune.Data != "" {
		strictyaml.Put(n, "data", strictyaml.Scalar(s.Finetune.Data))
	}
	if s.Finetune.Steps != 0 {
		strictyaml.Put(n, "steps", strictyaml.Scalar(strconv.Itoa(s.Finetune.Steps)))
	}
	if len(s.Finetune.Set) > 0 {
		strictyaml.Put(n, "set", mappingOf(s.Finetune.Set))
	}
	return n, nil
}
