// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/machine"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// Step measures training steps of each config, from the smallest on, so that what one leaves behind does not hide the memory of
// the next. If ctx ends, or something fails, the report holds what was measured until then.
func Step(ctx context.Context, o Options, list []Training) (Report, error) {
	return trainAll(ctx, "step", o, list, func(t Training, c Case) Case { return c })
}

// trainAll measures the training of each config.
func trainAll(ctx context.Context, name string, o Options, list []Training, note func(Training, Case) Case) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, err
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Training) int { return cmp.Compare(need(a.Config), need(b.Config)) })
	s := newSuite(name, o, nil)
	const perSecond = 50e9 // about, of a processor, to begin with
	for _, t := range list {
		_, whole := s.estimate(t.Config, perSecond)
		s.plan = append(s.plan, whole)
	}
	for _, t := range list {
		c, err := s.train(ctx, t.Name, t.Config)
		s.add(note(t, c))
		if err != nil {
			return s.end(err)
		}
	}
	return s.end(nil)
}

// StepCases are the cases that the suite "step" measures unless told otherwise.
func StepCases() []string {
	return []string{"tiny", "mini", "electra-small@128", "metro-base@128", "metro-base@512"}
}

// ParseCase reads a case, RECIPE or RECIPE@LENGTH: the recipe's config on rows of so many tokens, as many of them as
// [StepTokens] says, with assignments made (see [metro.Config.SetAll]). What it names and cannot be had is the user's error.
func ParseCase(spec string, set ...string) (Training, error) {
	name, length, given := strings.Cut(spec, "@")
	c, err := recipes.Get(name)
	if err != nil {
		return Training{}, err
	}
	if given {
		n, err := strconv.Atoi(length)
		if err != nil || n < 2 {
			return Training{}, usererr.New("%q is no case: behind the @ comes the length of rows in tokens, such as %s@128", spec, name)
		}
		c.Data.SeqLen = n
		if c.Positions.Rows > 0 {
			c.Positions.Rows = max(c.Positions.Rows, n)
		}
	}
	c.Training.BatchSize = max(1, min(c.Training.BatchSize, StepTokens(c)/c.Data.SeqLen))
	if err := c.SetAll(set...); err != nil {
		return Training{}, err
	}
	return Training{spec, c}, c.Validate()
}

// ParseBase is [ParseCase] with a quarter of the rows, so that there is room to grow.
func ParseBase(spec string, set ...string) (Training, error) {
	t, err := ParseCase(spec)
	if err != nil {
		return t, err
	}
	t.Config.Training.BatchSize = max(1, t.Config.Training.BatchSize/4)
	if err := t.Config.SetAll(set...); err != nil {
		return t, err
	}
	return t, t.Config.Validate()
}

// StepTokens is how many tokens a step has at most that is measured on a processor: few enough to repeat it, enough that its
// matrix products are large ones. Models of more than 50 million weights get a quarter.
func StepTokens(c metro.Config) int {
	const usual, large = 2048, 50e6
	if c.Parameters(c.Data.VocabSize) > large {
		return usual / 4
	}
	return usual
}

// need is about how many bytes it takes to train c.
func need(c metro.Config) uint64 {
	weights, step := c.Memory(c.Data.VocabSize)
	return uint64(weights + step)
}

// Fits reports whether the machine has memory left for training c, with room for what the engine takes besides. Where nothing
// is known of the memory, everything fits.
func Fits(c metro.Config) bool {
	const room = 2
	_, available := machine.Memory()
	if limit := machine.MemoryLimit(); limit > 0 {
		available = min(available, limit)
	}
	return available == 0 || room*need(c) < available
}
