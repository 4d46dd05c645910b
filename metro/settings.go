// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/layers"
)

// SetAll makes assignments, in their order but for options of parts, which come last, for somebody who expects each of them to do
// something: a setting that the config, once all are made, does not look at is an error that says why, and so is a field that is set
// twice. What a config has of itself may be idle, such as a recipe's temperature under an objective without samples. c is unchanged
// on error.
func (c *Config) SetAll(assignments ...string) error {
	changed := *c
	var problems []error
	values := map[string]string{}
	for _, a := range optionsLast(changed, assignments) {
		path, value, _ := strings.Cut(a, "=")
		path, value = strings.TrimSpace(path), strings.TrimSpace(value)
		if first, twice := values[path]; twice {
			problems = append(problems, usererr.New("%s is set twice, to %s and to %s; leave one out", path, first, value))
		}
		values[path] = value
		problems = append(problems, changed.Set(a))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, a := range assignments {
		path, _, _ := strings.Cut(a, "=")
		if why := changed.idle(strings.TrimSpace(path), *c); why != "" {
			problems = append(problems, usererr.New("%s does nothing here: %s", a, why))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	*c = changed
	return nil
}

// optionsLast moves what sets an option of a part behind what may name the part, so that the two need no order.
func optionsLast(c Config, assignments []string) []string {
	isOption := func(a string) bool {
		return slices.ContainsFunc(c.slots(), func(s slot) bool { return strings.HasPrefix(strings.TrimSpace(a), s.options+".") })
	}
	var options []string
	rest := slices.DeleteFunc(slices.Clone(assignments), func(a string) bool {
		if isOption(a) {
			options = append(options, a)
		}
		return isOption(a)
	})
	return append(rest, options...)
}

// Idle says why a field, an option or a shorthand of [Config.Set] decides nothing under the rest of c; "" where it does.
func (c Config) Idle(path string) string { return c.idle(path, c) }

// idle compares, where the field's value alone does not tell, with what c was before it was set.
func (c Config) idle(path string, before Config) string {
	states := c.fields()
	if _, ok := shorthands[path]; ok {
		encoder, _, _ := strings.Cut(path, ".")
		path = encoder + ".width"
	}
	s, ok := states[path]
	if !ok {
		return ""
	}
	if s.index == nil { // an option, in use where its part is
		for _, slot := range c.slots() {
			if strings.HasPrefix(path, slot.options+".") {
				s.when = states[slot.path].when
			}
		}
	}
	for _, condition := range s.when {
		if !c.meets(condition, states) {
			return c.unmet(condition, states)
		}
	}
	for _, rule := range idleRules {
		if rule.path == path && rule.idle(c) {
			return rule.why
		}
	}
	if path == "positions.max_distance" && c.Positions.MaxDistance != before.Positions.MaxDistance && c.sameBuckets(before.Positions.MaxDistance) {
		return fmt.Sprintf("at data.seq_len=%d with positions.bins=%d all offsets fall into the same buckets as with %d",
			c.Data.SeqLen, c.Positions.Bins, before.Positions.MaxDistance)
	}
	return ""
}

// unmet says in words why a condition of a field's tag "when" does not hold; see [Config.meets].
func (c Config) unmet(condition string, states map[string]state) string {
	if path, value, ok := strings.Cut(condition, "!="); ok {
		return fmt.Sprintf("it needs another %s than %q", path, value)
	}
	if path, value, ok := strings.Cut(condition, "="); ok {
		return fmt.Sprintf("it needs %s=%s, which is %s", path, value, text(states[path].value))
	}
	objective, source := "objective.name="+c.Objective.Name, "replacements.source="+c.Replacements.Source
	switch name, of, _ := strings.Cut(condition, ":"); name {
	case "pretraining":
		return "it is a setting of pretraining that fine-tuning does not look at"
	case "samples", "draws":
		if c.objective().Samples {
			return source + " has drawn them before"
		}
		return objective + " replaces no tokens"
	case "generator", "trained_generator":
		if !c.objective().Samples {
			return objective + " has no generator"
		}
		if name == "generator" || c.source().Generator == GeneratorUnused {
			return source + " has no generator"
		}
		return source + " has no generator that learns"
	case "head":
		return fmt.Sprintf("%s trains no head %s", objective, strings.ReplaceAll(of, "|", " or "))
	case "tied_head":
		return "no head is tied to the token table"
	case "own_tokenizer":
		return "the tokenizer comes with the model that the run begins with"
	}
	return condition
}

// idleRules are further settings under which a field decides nothing. They are not in the fields' tags since they depend on
// more than one value, or hold for one of the two encoders alone.
var idleRules = []struct {
	path string
	idle func(c Config) bool
	why  string
}{
	{"sharing", Config.withoutGenerator, "there is no generator that could share anything with the main model"},
	{"masking.rule", func(c Config) bool { return c.objective().Samples && c.withoutGenerator() }, "only a generator reads the masked rows, and there is none"},
	{"replacements.dropout", func(c Config) bool { return c.Generator.Dropout == 0 && c.Replacements.Dropout != SampleZero }, "generator.dropout is 0, so that every value samples alike"},
	{"replacements.temperature", drawsUniformly, "replacements.source=uniform draws every token alike at every temperature"},
	{"replacements.temperature_schedule", drawsUniformly, "replacements.source=uniform draws every token alike at every temperature"},
	{"replacements.temperature_decay", drawsUniformly, "replacements.source=uniform draws every token alike at every temperature"},
	{"replacements.temperature_schedule", stayingAtOne, "replacements.temperature is 1, where the schedule stays"},
	{"replacements.temperature_decay", stayingAtOne, "replacements.temperature is 1, where the schedule stays"},
	{"generator.dropout", func(c Config) bool { return c.frozenGenerator() && c.Replacements.Dropout == SampleEval }, "a frozen generator samples without dropout under replacements.dropout=eval"},
	{"generator.init", Config.frozenGenerator, "a frozen generator's weights are read"},
	{"generator.init_scale", Config.frozenGenerator, "a frozen generator's weights are read"},
	{"main.layer_sharing", func(c Config) bool { return c.Main.Layers == 1 }, "main.layers is 1, which has nobody to share with"},
	{"generator.layer_sharing", func(c Config) bool { return c.Generator.Layers == 1 }, "generator.layers is 1, which has nobody to share with"},
	{"generator.init_scale", func(c Config) bool { return c.Sharing == SharingAll }, "sharing=all gives the generator the main model's layers"},
	{"main.feed_forward_options.balance_weight", finetunes, "it is a setting of pretraining that fine-tuning does not look at"},
	{"main.feed_forward_options.z_weight", finetunes, "it is a setting of pretraining that fine-tuning does not look at"},
	{"generator.feed_forward_options.balance_weight", Config.frozenGenerator, "a frozen generator's gates do not learn"},
	{"generator.feed_forward_options.z_weight", Config.frozenGenerator, "a frozen generator's gates do not learn"},
	{"optimizer.layer_decay", Config.LeavesLayers, "task.adaptation leaves the layers as they are, and what learns beside them has the whole rate"},
	{"optimizer.layer_decay_rule", Config.LeavesLayers, "task.adaptation leaves the layers as they are, and what learns beside them has the whole rate"},
	{"objective.rtd_weight", func(c Config) bool { return c.Objective.Name == "all_token_lm" }, "objective.name=all_token_lm has no term of RTD"},
	{mistThreshold, Config.overwritesAll, "the second pass asks RTD where to write under form=overwrite alone, and not under targets=oracle"},
	{"optimizer.bias_correction", Config.TakesMoments, "growth.optimizer=mapped takes over moments that are corrected already"},
	{"optimizer.final_fraction", func(c Config) bool {
		return c.Optimizer.Schedule == ScheduleThen && c.Training.GeneratorSteps == 0 && c.Optimizer.WarmupSteps >= c.Training.Steps
	}, "all of training.steps is warm-up"},
}

// withoutGenerator reports whether it is known that no generator is run.
func (c Config) withoutGenerator() bool {
	o, s := c.objective(), c.source()
	return o.Name != "" && s.Name != "" && (!o.Samples || s.Generator == GeneratorUnused)
}

func (c Config) frozenGenerator() bool { return c.source().Generator == GeneratorFrozen }

// TakesMoments reports whether a run begins with the moments of the model that grows.
func (c Config) TakesMoments() bool {
	return c.Task.Name == "" && c.Training.InitFrom != "" && c.Growth.Width != WidthNone && c.Growth.Optimizer == OptimizerMapped
}

func finetunes(c Config) bool { return c.Task.Name != "" }

func drawsUniformly(c Config) bool { return c.Replacements.Source == SourceUniform }

func stayingAtOne(c Config) bool {
	return c.Replacements.Temperature == 1 && temperatures.ships(cmp.Or(c.Replacements.TemperatureSchedule, TemperatureConstant)) // all that ship end at 1, and stay there from 1 on
}

// sameBuckets reports whether another maximal distance puts every offset within a row into the same bucket.
func (c Config) sameBuckets(maxDistance int) bool {
	buckets := map[string]func(n, bins, maxDistance int) int{RelativeSignedLog: layers.SignedLogBucket, RelativeT5: layers.T5Bucket}
	bucket, ok := buckets[c.Positions.Relative]
	if !ok {
		return false // of a bias from elsewhere nothing is known
	}
	for n := -c.Data.SeqLen + 1; n < c.Data.SeqLen; n++ {
		if bucket(n, c.Positions.Bins, c.Positions.MaxDistance) != bucket(n, c.Positions.Bins, maxDistance) {
			return false
		}
	}
	return true
}
