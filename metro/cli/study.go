// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/ablations/studies"
	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
)

// studyFlags say which study it is: one that ships or a file, changed, or one that the flags make.
type studyFlags struct {
	baseline string
	changes  []string
	grids    []string
	outcome  string
	matching string
	arms     []string
	set      []string
	seeds    []int64
	margin   *float64 // nil: the study's own
	until    string
	maxSeeds int
}

func (f *studyFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.baseline, "baseline", "", "make a study of this recipe, under the name that is given")
	cmd.Flags().StringArrayVar(&f.changes, "change", nil, `add an arm, "NAME: path=value path=value"; without NAME it is named by what it sets; repeat for more`)
	cmd.Flags().StringArrayVar(&f.grids, "grid", nil, "add an arm for each value, path=value,value; several multiply")
	cmd.Flags().StringVar(&f.outcome, "outcome", "", "outcome in the place of the study's own: METRIC, lastK:METRIC, tokens_to:, flops_to: or steps_to:METRIC=TARGET, or saved_tokens:, saved_flops: or saved_steps:METRIC ("+studies.FrozenAUC.Metric+" where the flags make the study)")
	cmd.Flags().StringVar(&f.matching, "matching", "", "what every arm has as much of as the baseline, "+strings.Join(ablations.Matchings(), ", ")+", in the place of the study's own")
	cmd.Flags().StringArrayVar(&f.arms, "arm", nil, "keep only this change of the study; repeat for more")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "change a field of the baseline, and so of every arm, path=value")
	cmd.Flags().Int64SliceVar(&f.seeds, "seeds", nil, "seeds in the place of the study's own, planned before the first run (0,1,2 where the flags make the study)")
	cmd.Flags().Var(marginValue{&f.margin}, "margin", "`size` of a difference in the outcome that is too small to matter, such as 0.02, planned before the first run: a verdict may then be \"equivalent\"")
	cmd.Flags().StringVar(&f.until, "until", "", `"decided" adds seeds where they help most until each arm has a verdict, by tests that may be looked at at any time; without it, every arm is trained at every seed`)
	cmd.Flags().IntVar(&f.maxSeeds, "max-seeds", 0, "with --until decided: the most seeds an arm gets (30, or the study's own if they are more)")
}

// marginValue is the value of --margin, which says nothing unless it is given. What it says is handed on by metro ablate submit.
type marginValue struct{ margin **float64 }

// Set implements pflag.Value.
func (m marginValue) Set(text string) error {
	margin, err := strconv.ParseFloat(text, 64)
	*m.margin = &margin
	return err
}

// String implements pflag.Value.
func (m marginValue) String() string {
	if m.margin == nil || *m.margin == nil {
		return ""
	}
	return strconv.FormatFloat(**m.margin, 'g', -1, 64)
}

// Type implements pflag.Value.
func (marginValue) Type() string { return "size" }

// studyHelp explains the argument and the flags of a command that takes a study.
var studyHelp = `STUDY is one that ships, ` + strings.Join(studies.Names(), ", ") + `; a YAML file; or, with --baseline, the name of a
study that the flags make:

  metro ablate run bias --baseline tiny --change "no bias: positions.relative=none" --grid optimizer.learning_rate=1e-3,3e-3

--change adds one arm. --grid adds an arm for each value, and several of them multiply, as in Hydra's sweeps; a value with
a comma or a space stands in quotes. Arms of a grid are named by what differs from the baseline, and the combination that is
the baseline is no arm of its own. Both add to a study that ships and to a file as well.

A file says the same, strictly: a key that is not known is refused.

  name: bias
  question: Does a relative position bias help?
  baseline: {recipe: tiny, set: {training.steps: 1200}}
  arms:
    - {name: no bias, set: {positions.relative: none}}
    - one_factor: {objective.rtd_weight: [10, 20]}
    - grid: {optimizer.learning_rate: [1e-3, 3e-3], main.layers: [1, 2]}
    - ladder:
        - {name: RTD alone, set: {objective.name: rtd}}
        - {name: and fewer masks, set: {masking.rate: 0.1}}
  seeds: [0, 1, 2]
  outcome: frozen_auc_unigram
  margin: 0.02

With a margin an arm may also be shown to be equivalent: two one-sided tests find that it differs by less. It is stated before
the first run; one that is chosen afterwards is refused.

With --until decided (in a file, until: decided) the seeds are the most that an arm gets, in their order. First every arm gets,
seed by seed, the fewest pairs that can decide (6 for one change). From then on the next seed goes to the undecided arm that is
nearest to a verdict by the runs that it is expected to take, the baseline's counted where they are missing. Wrong verdicts stay below
5 % however often one looks; the price is some more pairs than a fixed number would need, where that was chosen well. The folder
of a study with a fixed number of seeds is refused, and the other way round.`

// study is the study that an argument and the flags name, cut to what a kind of backend can do; "" for any.
func (f studyFlags) study(name, backend string) (s ablations.Study, err error) {
	switch {
	case f.baseline != "" && (isFile(name) || slices.Contains(studies.Names(), name)):
		return s, usererr.New("%s is a study already; leave --baseline out to run it, or give yours another name", name)
	case f.baseline != "":
		s = ablations.Study{Name: name, Question: "What do these changes do to " + f.baseline + "?", Recipe: f.baseline, Outcome: studies.FrozenAUC, Seeds: []int64{0, 1, 2}}
		s.Baseline, err = recipes.Get(f.baseline)
	case isFile(name):
		s, err = ablations.ReadStudy(name)
	default:
		if s, err = studies.Get(name, backend); err != nil && (len(f.changes) > 0 || len(f.grids) > 0) {
			err = usererr.New("%w; a study that --change and --grid make needs --baseline RECIPE", err)
		}
	}
	if err == nil {
		err = s.Adjust(f.arms, nil, f.seeds)
	}
	if err != nil {
		return s, err
	}
	s.Changes = slices.Clone(s.Changes)
	for _, text := range f.changes {
		change, err := parseChange(text)
		if err != nil {
			return s, err
		}
		s.Changes = append(s.Changes, change)
	}
	if err := s.Adjust(nil, f.set, nil); err != nil {
		return s, err
	}
	if err := f.addGrid(&s); err != nil {
		return s, err
	}
	if f.outcome != "" {
		s.Outcome = ablations.OutcomeOf(f.outcome)
	}
	if f.margin != nil {
		s.Margin = *f.margin
	}
	if err := f.untilDecided(&s); err != nil {
		return s, err
	}
	if f.matching != "" {
		s.Matching = f.matching
	}
	_, err = s.Arms()
	return s, err
}

// untilDecided makes the study go on until it is decided, if the flags or its file say so.
func (f studyFlags) untilDecided(s *ablations.Study) error {
	const most = 30
	switch {
	case f.until != "" && f.until != ablations.UntilDecided:
		return usererr.New("--until %q: a study goes on until %q, or for a fixed number of seeds, without the flag", f.until, ablations.UntilDecided)
	case f.until == "" && !s.UntilDecided && f.maxSeeds != 0:
		return usererr.New("--max-seeds is for --until %s; name a fixed number of seeds by --seeds", ablations.UntilDecided)
	case f.until == "" && f.maxSeeds == 0:
		return nil
	}
	return s.UntilDecidedWithin(cmp.Or(f.maxSeeds, max(most, len(s.Seeds))))
}

func (f studyFlags) addGrid(s *ablations.Study) error {
	if len(f.grids) == 0 {
		return nil
	}
	var axes []ablations.Axis
	for _, text := range f.grids {
		path, list, ok := strings.Cut(text, "=")
		if !ok {
			return usererr.New("--grid %q: write path=value,value, for example optimizer.learning_rate=1e-3,3e-3", text)
		}
		values, err := splitQuoted(list, ',')
		if err != nil {
			return usererr.New("--grid %q: %w", text, err)
		}
		axes = append(axes, ablations.Axis{Path: strings.TrimSpace(path), Values: values})
	}
	changes, err := ablations.Grid(s.Baseline, axes...)
	s.Changes = append(s.Changes, changes...)
	return err
}

// isFile reports whether an argument is the path of a study's file and not a study's name.
func isFile(name string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(name)) || strings.ContainsRune(name, filepath.Separator)
}

// parseChange reads "NAME: path=value path=value".
func parseChange(text string) (c ablations.Change, err error) {
	rest := text
	if name, after, ok := strings.Cut(text, ":"); ok && !strings.ContainsAny(name, `='"`) {
		c.Name, rest = strings.TrimSpace(name), after
		if c.Name == "" {
			return c, usererr.New("--change %q: there is no name before the colon", text)
		}
	}
	if c.Set, err = splitQuoted(rest, ' '); err != nil {
		return c, usererr.New("--change %q: %w", text, err)
	}
	for _, a := range c.Set {
		if !strings.Contains(a, "=") {
			return c, usererr.New("--change %q: %q is not path=value; a name ends in a colon, and a value with spaces stands in quotes", text, a)
		}
	}
	if len(c.Set) == 0 {
		return c, usererr.New(`--change %q sets nothing; write "NAME: path=value"`, text)
	}
	if c.Name == "" {
		c.Name = ablations.NameOf(c.Set)
	}
	return c, nil
}

// splitQuoted cuts a text at a separator that does not stand in single or double quotes, which are taken away. Parts without
// anything are left out between spaces, and an error between commas.
func splitQuoted(text string, separator rune) (parts []string, err error) {
	var part strings.Builder
	var quote rune
	begun := false
	end := func() error {
		word := part.String()
		if !begun {
			word = strings.TrimSpace(word)
		}
		part.Reset()
		if word == "" && !begun {
			if separator != ' ' {
				return usererr.New("there is a value missing")
			}
			return nil
		}
		parts, begun = append(parts, word), false
		return nil
	}
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, begun = r, true
		case quote == 0 && r == separator:
			if err := end(); err != nil {
				return nil, err
			}
		default:
			part.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, usererr.New("a quote %c is not closed", quote)
	}
	return parts, end()
}

// studyNames completes the argument of a command that takes a study.
func studyNames(c *cobra.Command, given []string, begun string) []string {
	return append(studies.Names(), files(c, given, begun)...)
}
