// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
)

// Study is a baseline and named changes to it, all trained at the same seeds. At one seed every arm starts from the
// same weights (where shapes agree) and sees the same rows, masks and noise: the differences are paired.
type Study struct {
	Name     string  // of its folder among the runs
	Question string  // what it is for, in a sentence
	Recipe   string  // names the baseline and the runs' directories
	Outcome  Outcome // fixed before anything is trained
	Baseline metro.Config
	Changes  []Change
	Seeds    []int64
	// Margin is the size of a difference in the outcome that is too small to matter; an arm that is shown to differ by less is
	// [Equivalent]. It is stated before the first run; 0 asks for differences alone.
	Margin   float64
	Matching string // what every arm has as much of as the baseline: MatchSteps, which "" is, MatchTokens or MatchFLOPs
	// UntilDecided adds seeds in the order of Seeds, where they help most, until each arm has a verdict or all are used; see
	// [Study.UntilDecidedWithin]. Its tests may be looked at after every pair. False: each arm is trained at every seed.
	UntilDecided bool

	Finetune *Finetuning // what follows each run; nil for nothing
	Fork     *Fork       // where the arms leave the baseline's run; nil for the first step
}

// Change is one arm: assignments to the baseline's fields, as [metro.Config.Set] takes them.
type Change struct {
	Name string   `json:"name"`
	Set  []string `json:"set"`
}

// Outcome is the one number by which arms are compared.
type Outcome struct {
	Metric string    `json:"metric"` // of the run's last evaluation, or what is made of all its evaluations; see [OutcomeOf]
	Label  string    `json:"label"`  // for people
	Better Direction `json:"better"`
}

// Arm is the baseline or one change, made whole.
type Arm struct {
	Name   string       `json:"name"`
	Set    []string     `json:"set,omitempty"`
	Config metro.Config `json:"config"` // its seed is that of no run
}

// BaselineName is the name of the arm without a change.
const BaselineName = "baseline"

// Arms returns the baseline and the changes, each a valid config. Two arms of one name, a change that changes nothing,
// a study without seeds or with one seed twice, an outcome without a direction, and one that an arm would be measured by on
// another text or other tokens than the baseline are the user's errors.
func (s Study) Arms() ([]Arm, error) {
	problems := []error{s.checkName(), s.checkSeeds(), s.checkMatching(), s.Outcome.check(), s.checkMargin(), s.checkUntil()}
	arms := []Arm{{Name: BaselineName, Config: s.Baseline}}
	seen := map[string]string{armText(arms[0]): BaselineName}
	names := map[string]bool{BaselineName: true}
	for _, change := range s.Changes {
		arm := Arm{Name: change.Name, Set: change.Set, Config: s.Baseline}
		pretraining, finetuning := parts(change.Set)
		if len(finetuning) > 0 && s.Finetune == nil {
			problems = append(problems, usererr.New("arm %q: %s%s is a setting of a fine-tuning, and the study has none", change.Name, finetunePrefix, finetuning[0]))
		}
		if err := assign(&arm.Config, pretraining); err != nil {
			problems = append(problems, fmt.Errorf("arm %q: %w", change.Name, err))
		} else {
			problems = append(problems, s.match(&arm))
		}
		if names[arm.Name] || arm.Name == "" {
			problems = append(problems, usererr.New("study %q: every arm needs a name of its own, %q is not", s.Name, arm.Name))
		}
		if other, twin := seen[armText(arm)]; twin {
			problems = append(problems, usererr.New("arm %q has the same config as %q: %q changes nothing", arm.Name, other, change.Set))
		}
		names[arm.Name], seen[armText(arm)] = true, arm.Name
		arms = append(arms, arm)
	}
	for _, arm := range arms {
		if err := arm.Config.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("arm %q: %w", arm.Name, err))
		}
		problems = append(problems, s.checkOutcome(arm), s.checkReading(arm))
		if err := s.checkFork(arm); err != nil {
			problems = append(problems, fmt.Errorf("arm %q: %w", arm.Name, err))
		}
	}
	return arms, errors.Join(problems...)
}

// Adjust keeps only the named changes (all if there are none), makes assignments to the baseline, and puts other seeds
// in the place of the study's own (if there are any). A change that the study does not have is the user's error.
func (s *Study) Adjust(arms, assignments []string, seeds []int64) error {
	if len(arms) > 0 {
		var kept []Change
		for _, name := range arms {
			i := slices.IndexFunc(s.Changes, func(c Change) bool { return c.Name == name })
			if i < 0 {
				return usererr.New("study %s has no change %q; it has %q", s.Name, name, s.changeNames())
			}
			kept = append(kept, s.Changes[i])
		}
		s.Changes = kept
	}
	if len(seeds) > 0 {
		s.Seeds = seeds
	}
	baseline := s.Baseline
	err := assign(&baseline, assignments)
	for _, change := range s.Changes {
		if err == nil {
			break
		}
		// What is idle in the baseline may be what a change is about.
		arm, with := s.Baseline, slices.Clone(assignments)
		pretraining, _ := parts(change.Set)
		if assign(&arm, append(with, pretraining...)) == nil {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	for _, assignment := range assignments {
		if err := s.Baseline.Set(assignment); err != nil {
			return err
		}
	}
	return nil
}

// assign makes assignments to a config of a study, which has its seeds elsewhere.
func assign(c *metro.Config, assignments []string) error {
	for _, a := range assignments {
		if strings.HasPrefix(strings.TrimSpace(a), "seed=") {
			return usererr.New("%s: each run of a study has a seed of the study's own; name them as its seeds", a)
		}
	}
	return c.SetAll(assignments...)
}

func (s Study) changeNames() (names []string) {
	for _, c := range s.Changes {
		names = append(names, c.Name)
	}
	return names
}

func (o Outcome) check() error {
	if o.Better != HigherIsBetter && o.Better != LowerIsBetter {
		return usererr.New("outcome %q: which way is better? say %q or %q, not %q", o.Metric, HigherIsBetter, LowerIsBetter, o.Better)
	}
	_, err := readingOf(o.Metric)
	return err
}

func (s Study) checkName() error {
	if s.Name == "" || strings.HasPrefix(s.Name, ".") || strings.ContainsAny(s.Name, `/\`) || !filepath.IsLocal(s.Name) {
		return usererr.New("study %q: its name is that of a folder among the runs, without %s and not hidden", s.Name, `/ or \`)
	}
	return nil
}

func (s Study) checkSeeds() error {
	if len(s.Seeds) == 0 {
		return usererr.New("study %q has no seeds", s.Name)
	}
	seen := map[int64]bool{}
	for _, seed := range s.Seeds {
		if seen[seed] {
			return usererr.New("study %q names seed %d twice", s.Name, seed)
		}
		seen[seed] = true
	}
	return nil
}

func (s Study) checkMargin() error {
	if s.Margin < 0 || !finite(s.Margin) {
		return usererr.New("study %q: a margin of equivalence is a size, such as 0.02, and not %g", s.Name, s.Margin)
	}
	return nil
}

// design is how the study's verdicts are come to.
func (s Study) design() Design {
	d := Design{Better: s.Outcome.Better, Margin: s.Margin}
	if s.UntilDecided {
		d.Seeds = s.Seeds
	}
	return d
}

// armText is equal for arms whose runs are the same: what a config holds that has no effect does not tell them apart.
func armText(a Arm) string {
	_, finetuning := parts(a.Set)
	identity, err := runs.Canonical(a.Config.Identity())
	if err != nil {
		return fmt.Sprintf("%+v %q", a.Config, finetuning) // a config that does not hold, which is said elsewhere
	}
	return fmt.Sprintf("%s %s %s %s %q", identity, a.Config.Data.Corpus+a.Config.Data.Mixture, a.Config.Training.InitFrom, a.Config.Replacements.Checkpoint, finetuning)
}
