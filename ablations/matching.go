// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// Values of [Study.Matching]: what an arm has as much of as the baseline.
const (
	MatchSteps  = "steps"  // as many steps; an arm with larger batches, or a larger model, costs more
	MatchTokens = "tokens" // as many tokens of the rows
	MatchFLOPs  = "flops"  // as many floating-point operations, those of the generator among them; see [metro.FLOPs]
)

// Matchings lists them.
func Matchings() []string { return []string{MatchSteps, MatchTokens, MatchFLOPs} }

// paced are the fields that count steps: where an arm trains for more or fewer of them than the baseline, they follow, so that
// its schedule, its stages and its evaluations lie at the same parts of the run.
var paced = []string{"optimizer.warmup_steps", "training.generator_steps", "training.prefix_steps", "training.log_every", "training.eval_every", "training.checkpoint_every"}

// match gives an arm as many steps as cost what the baseline costs, and lets what counts steps follow, but for what the change
// sets itself. The steps before a fork count: their rows had as many tokens as those that come, since a fork cannot change that, so
// that equal tokens are the same text from the same place on, whichever run has read it. What they cost in operations is that
// run's to say, and is not known here.
func (s Study) match(arm *Arm) error {
	if s.Matching != MatchTokens && s.Matching != MatchFLOPs {
		return nil
	}
	own := map[string]bool{}
	for _, assignment := range arm.Set {
		path, _, _ := strings.Cut(strings.TrimSpace(assignment), "=")
		own[path] = true
	}
	if own["training.steps"] {
		return usererr.New("arm %q sets training.steps, which equal %s decide; leave it out, or match by %s", arm.Name, s.Matching, MatchSteps)
	}
	for _, fork := range []string{s.Baseline.Training.Fork, arm.Config.Training.Fork} {
		if fork != "" && s.Matching == MatchFLOPs {
			return usererr.New("arm %q: training.fork=%s: what the steps before the fork have cost is not known, so operations cannot be matched; match by %s or %s",
				arm.Name, fork, MatchSteps, MatchTokens)
		}
	}
	if s.Baseline.Validate() != nil || arm.Config.Validate() != nil {
		return nil // said elsewhere
	}
	baseline, err := costOf(s.Baseline, s.Matching)
	if err != nil {
		return fmt.Errorf("the baseline: %w", err)
	}
	cost, err := costOf(arm.Config, s.Matching)
	if err != nil {
		return fmt.Errorf("arm %q: %w", arm.Name, err)
	}
	c, steps := &arm.Config, s.Baseline.Training.Steps
	matched := scaled(steps, baseline/cost)
	if own["training.prefix_steps"] && s.Matching == MatchFLOPs {
		// The first stage has so many steps, whatever comes after it: the steps of the second are what the budget leaves.
		if matched, err = afterPrefixes(*c, baseline*float64(steps)); err != nil {
			return fmt.Errorf("arm %q: %w", arm.Name, err)
		}
	}
	if shared := s.shared(arm.Name, *c); shared >= matched {
		return usererr.New("arm %q: the %d steps before training.fork=%s have as many %s as %d of the baseline's %d steps, which leaves nothing to train; go on from an earlier step, or match by %s",
			arm.Name, shared, c.Training.Fork, s.Matching, scaled(shared, cost/baseline), steps, MatchSteps)
	}
	c.Training.Steps = matched
	for i, field := range []*int{&c.Optimizer.WarmupSteps, &c.Training.GeneratorSteps, &c.Training.PrefixSteps, &c.Training.LogEvery, &c.Training.EvalEvery, &c.Training.CheckpointEvery} {
		if *field > 0 && !own[paced[i]] {
			*field = scaled(*field, float64(c.Training.Steps)/float64(steps))
		}
	}
	return nil
}

// scaled is a number of steps times ratio, 1 at least.
func scaled(steps int, ratio float64) int { return max(1, int(math.Round(float64(steps)*ratio))) }

// costOf is what a step of c costs of a resource, as the mean over a run: its tokens, or its operations over as many tokens of the
// vocabulary as the config asks for, whichever prefixes are drawn.
func costOf(c metro.Config, resource string) (float64, error) {
	if resource == MatchTokens {
		return float64(c.Training.BatchSize * c.Data.SeqLen), nil
	}
	flops, err := c.FLOPs(c.Data.VocabSize)
	if err != nil || c.Training.PrefixSteps == 0 {
		return flops.Total(), err
	}
	prefix, err := c.PrefixFLOPs(c.Data.VocabSize)
	first := float64(c.Training.PrefixSteps) / float64(c.Training.Steps)
	return first*prefix + (1-first)*flops.Total(), err
}

// afterPrefixes is the number of all steps of c, those of its first stage included, that cost what the budget allows of operations.
func afterPrefixes(c metro.Config, budget float64) (int, error) {
	flops, err := c.FLOPs(c.Data.VocabSize)
	if err != nil {
		return 0, err
	}
	prefix, err := c.PrefixFLOPs(c.Data.VocabSize)
	if err != nil {
		return 0, err
	}
	first := c.Training.PrefixSteps
	left := budget - float64(first)*prefix
	if left < flops.Total() {
		return 0, usererr.New("training.prefix_steps=%d costs the operations of all of the baseline's steps, which leaves nothing for the steps after them; set it lower, or match by %s", first, MatchSteps)
	}
	return first + scaled(1, left/flops.Total()), nil
}

func (s Study) checkMatching() error {
	if s.Matching == "" || slices.Contains(Matchings(), s.Matching) {
		return nil
	}
	return usererr.New("study %q: there is no matching by %q; there are %s", s.Name, s.Matching, strings.Join(Matchings(), ", "))
}

// matchingNote says for the report what the arms have as much of as the baseline.
func (s Study) matchingNote() string {
	switch s.Matching {
	case MatchTokens:
		return "Arms are matched by tokens: each trains for as many steps as read as many tokens as the baseline, and its schedule follows."
	case MatchFLOPs:
		return "Arms are matched by floating-point operations, the generator's among them: each trains for as many steps as its budget, the baseline's, allows, and its schedule follows."
	}
	return "Arms are matched by steps: each trains for as many as the baseline, whatever a step costs; the tables say what each cost."
}
