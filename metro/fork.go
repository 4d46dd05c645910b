// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
)

// ParseFork takes apart what training.fork says, "RUN@STEP": the run, by its name or its folder, and the step after which the
// fork goes on, 1 or more.
func ParseFork(fork string) (run string, step int, err error) {
	at := strings.LastIndexByte(fork, '@')
	if at > 0 {
		if step, err = strconv.Atoi(fork[at+1:]); err == nil && step > 0 {
			return fork[:at], step, nil
		}
	}
	return "", 0, usererr.New("training.fork must be RUN@STEP, such as tiny-0123456789@400, with a step from 1; it is %q", fork)
}

// CheckFork says which of the settings that are other in c than in trunk a run of c cannot have that goes on after a step of
// a run of trunk, each with the reason; nil if it can. A fork keeps what the steps before it were made with (the seed, the
// text, the order of rows) and the shape of the weights, and is refused what has its only effect before the step: a
// first weight, or a warm-up that is over under both. All else may change: weights of losses, masks, samples, dropout, the
// optimizer's settings. The learning rate and the temperature of a fork are those of its own config, as if it had been
// followed from the first step on, so that another length or peak makes the rate jump after the step.
//
// It compares settings; that text, tokenizer and weights are the same too, whoever reads them looks at.
func (c Config) CheckFork(trunk Config, step int) error {
	here, there := c.Identity(), trunk.Identity()
	paths := maps.Clone(there)
	maps.Copy(paths, here)
	states, before := c.fields(), trunk.fields()
	var problems []error
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if here[path] == there[path] || states[path].value == before[path].value { // the latter is idle in one of them
			continue
		}
		value := func(s map[string]state) string { return text(s[path].value) }
		rule := forkRuleOf(path)
		switch {
		case rule.why != "":
			problems = append(problems, usererr.New("a fork cannot change %s (%s, and %s in the run that it goes on with): %s",
				path, value(states), value(before), rule.why))
		case rule.idle != nil:
			if why := rule.idle(c, trunk, path, step); why != "" {
				problems = append(problems, usererr.New("%s=%s does nothing after step %d: %s", path, value(states), step, why))
			}
		}
	}
	if err := c.checkForkStages(trunk, step); err != nil {
		problems = append(problems, err)
	}
	if len(problems) == 0 {
		problems = append(problems, c.checkForkWeights(trunk))
	}
	return errors.Join(problems...)
}

// forkRule is what a fork can do with the fields whose path begins in one way.
type forkRule struct {
	prefix string
	why    string                                                    // it cannot be changed; "" if it can
	idle   func(c, trunk Config, path string, step int) (why string) // whether the change does nothing; nil if it always does something
}

// Reasons for which a field is kept.
const (
	forkShape = "the weights that it goes on with were trained in that shape"
	forkRows  = "the rows of the steps before were made with it"
)

// forkRules are asked in their order; the first that fits counts, and what none fits may be changed.
var forkRules = []forkRule{
	{prefix: "seed", why: "it drew the first weights, the order of the rows and the masks of the steps before"},
	{prefix: "data.", why: forkRows},
	{prefix: "training.batch_size", why: "it decides which rows the steps before have read"},
	{prefix: "evaluation.rows", why: "the steps before were measured on other rows"},
	{prefix: "training.ema", why: "the average of the weights is over all steps, also those before"},
	{prefix: "optimizer.name", why: "the moments that it goes on with are of that optimizer"},

	{prefix: "main.dropout"}, {prefix: "generator.dropout"}, {prefix: "positions.scale"},
	{prefix: "main.init", idle: firstAlone}, {prefix: "generator.init", idle: firstAlone}, {prefix: "objective.rtd_zero_init", idle: firstAlone},
	{prefix: "main.", why: forkShape}, {prefix: "generator.", why: forkShape}, {prefix: "embeddings.", why: forkShape},
	{prefix: "positions.", why: forkShape}, {prefix: "sharing", why: forkShape},
	{prefix: "objective.generator_head", why: forkShape}, {prefix: "objective.rtd_head", why: forkShape},

	{prefix: "optimizer.learning_rate", idle: sameRates}, {prefix: "optimizer.schedule", idle: sameRates},
	{prefix: "optimizer.warmup_steps", idle: sameRates}, {prefix: "optimizer.final_fraction", idle: sameRates},
	{prefix: "replacements.temperature", idle: sameTemperatures}, {prefix: "masking.final_rate", idle: sameMaskRates},
	{prefix: "training.copy_generator", idle: copiedBefore}, {prefix: "training.prefix_layers", idle: wholeBefore},
	{prefix: "growth.optimizer", why: "the moments that it goes on with were begun by it"}, {prefix: "growth.", idle: firstAlone},
}

func forkRuleOf(path string) forkRule {
	i := slices.IndexFunc(forkRules, func(r forkRule) bool { return strings.HasPrefix(path, r.prefix) })
	if i < 0 {
		return forkRule{}
	}
	return forkRules[i]
}

func firstAlone(Config, Config, string, int) string {
	return "it decides first weights alone, and the fork has those of the run that it goes on with"
}

func copiedBefore(c, _ Config, _ string, step int) string {
	if first := c.Training.GeneratorSteps; step > first {
		return fmt.Sprintf("the second stage has begun after step %d", first)
	}
	return ""
}

func wholeBefore(c, _ Config, _ string, step int) string {
	if first := c.Training.PrefixSteps; step >= first {
		return fmt.Sprintf("the steps after step %d train the whole model", first)
	}
	return ""
}

// sameRates looks whether the learning rates of all steps to come are those that they would be without the change.
func sameRates(c, trunk Config, path string, step int) string {
	return unmoved(c, trunk, path, step, "learning rate", Config.LearningRate)
}

// sameTemperatures is [sameRates] of the samples' temperature.
func sameTemperatures(c, trunk Config, path string, step int) string {
	return unmoved(c, trunk, path, step, "temperature", Config.TemperatureAt)
}

// sameMaskRates is [sameRates] of the part of the tokens that is masked.
func sameMaskRates(c, trunk Config, path string, step int) string {
	return unmoved(c, trunk, path, step, "mask rate", Config.MaskRate)
}

// unmoved says that a schedule is the same after a step whether c has its own or trunk's value at path; "" if it is not.
func unmoved(c, trunk Config, path string, step int, what string, at func(Config, int) float64) string {
	without := c
	if without.Set(path+"="+text(trunk.fields()[path].value)) != nil || without.Validate() != nil {
		return "" // a value that does not go with the rest: the change is one with others
	}
	for s := step + 1; s <= c.Training.Steps; s++ {
		if at(c, s) != at(without, s) {
			return ""
		}
	}
	return fmt.Sprintf("the %s of every step to come stays as it is", what)
}

// checkForkStages refuses another place of a switch between two stages that lies behind the step.
func (c Config) checkForkStages(trunk Config, step int) error {
	for _, first := range []struct {
		path        string
		here, there int
	}{
		{"training.generator_steps", c.Training.GeneratorSteps, trunk.Training.GeneratorSteps},
		{"training.prefix_steps", c.Training.PrefixSteps, trunk.Training.PrefixSteps},
	} {
		if first.here != first.there && (first.here < step || first.there < step) {
			return usererr.New("a fork cannot change %s (%d, and %d in the run that it goes on with): the stages of the steps up to %d are over",
				first.path, first.here, first.there, step)
		}
	}
	return nil
}

// checkForkWeights refuses a model whose weights, or those of them that learn, are not trunk's. It knows the weights of parts
// that ship; those of a user's own parts are compared when they are loaded.
func (c Config) checkForkWeights(trunk Config) error {
	here, complete := c.Inventory(1)
	there, known := trunk.Inventory(1)
	if !complete || !known {
		return nil
	}
	const why = "a fork cannot have another model than the run that it goes on with (objective.name=%s and replacements.source=%s, and %s and %s there): the weight %s %s"
	say := func(path, what string) error {
		return usererr.New(why, c.Objective.Name, c.Replacements.Source, trunk.Objective.Name, trunk.Replacements.Source, path, what)
	}
	for _, pair := range []struct {
		a, b Inventory
		what string
	}{
		{here, there, "is new"}, {there, here, "would be left over"},
		{here.Learning(), there.Learning(), "would begin to learn"}, {there.Learning(), here.Learning(), "would learn no more"},
	} {
		other := pair.b.ByPath()
		for _, path := range slices.Sorted(maps.Keys(pair.a.ByPath())) {
			if _, ok := other[path]; !ok {
				return say(path, pair.what)
			}
		}
	}
	return nil
}

// SameUpTo is the last step up to which a run of c and one of other, whose lengths alone may differ, have the same learning rates,
// temperatures and mask rates: up to it a longer run is the shorter one.
func (c Config) SameUpTo(other Config) int {
	for step := 1; step <= min(c.Training.Steps, other.Training.Steps); step++ {
		if c.LearningRate(step) != other.LearningRate(step) || c.TemperatureAt(step) != other.TemperatureAt(step) || c.MaskRate(step) != other.MaskRate(step) {
			return step - 1
		}
	}
	return min(c.Training.Steps, other.Training.Steps)
}
