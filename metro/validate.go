// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/layers"
)

// Validate reports everything that is wrong with c at once, each problem with its field, the values and the way out:
// numbers out of range, names that do not exist, and pairs of settings that make no sense together. What a field that
// is not in use holds does not matter.
func (c Config) Validate() error {
	var v validation
	v.data(c)
	v.encoder("main", c.Main)
	pretrains := c.Task.Name == ""
	if pretrains {
		v.encoder("generator", c.Generator)
	}
	v.names(&c)
	v.experts(c, OwnerMain)
	if pretrains && !c.withoutGenerator() {
		v.experts(c, OwnerGenerator)
	}
	if pretrains {
		v.masking(c.Masking)
		v.replacements(c.Replacements)
		v.objective(c)
		v.second(c)
	}
	v.optimizer(c)
	v.training(c)
	if pretrains {
		v.stages(c)
	}
	v.task(c)
	v.adaptation(c)
	if pretrains {
		v.pairs(c)
	}
	if len(v.problems) == 0 {
		v.groups(c)
	}
	return errors.Join(v.problems...)
}

// LongestWord is the highest data.longest_word: the search for pieces takes the square of it.
const LongestWord = 1000

type validation struct{ problems []error }

func (v *validation) bad(format string, args ...any) {
	v.problems = append(v.problems, usererr.New(format, args...))
}

// most bounds every size, so that products of two are numbers that there are.
const most = 1 << 40

func (v *validation) positive(path string, x int) {
	if x <= 0 {
		v.bad("%s must be positive, it is %d", path, x)
	} else if x > most {
		v.bad("%s must be at most %d, it is %d", path, most, x)
	}
}

func (v *validation) within(path string, x, low, high float64) {
	if !(x >= low && x <= high) {
		v.bad("%s must be in [%g, %g], it is %g", path, low, high, x)
	}
}

// unlearned says of values that one may look for why there are none such, and what to do.
var unlearned = map[string]string{
	"data.tokenizer=unigram": "; Unigram models are read, not learned: nothing in Go learns them. Set it to sentencepiece, which is learned here, " +
		"or begin with a model that has a Unigram spiece.model or tokenizer.json (training.init_from)",
}

// names checks all fields that [Choices] knows, the options of the parts that c names, and its metrics.
func (v *validation) names(c *Config) {
	choices, states := Choices(), c.fields()
	for _, path := range slices.Sorted(maps.Keys(choices)) {
		if value := text(states[path].value); (states[path].used || c.Task.Name == "") && !slices.Contains(choices[path], value) {
			v.bad("%s must be one of %q, it is %q%s", path, choices[path], value, unlearned[path+"="+value])
		}
	}
	for _, s := range c.slots() {
		if s.part.Name == "" {
			continue // said above, or below
		}
		for _, name := range s.given() {
			option, err := s.option(name)
			if err == nil {
				if _, err = option.parse(fmt.Sprint(s.values.values()[s.prefix+name])); err != nil {
					err = usererr.New("%s.%s %w", s.options, name, err)
				}
			}
			if err != nil {
				v.problems = append(v.problems, err)
			}
		}
	}
	seen := map[string]bool{}
	for _, name := range c.Evaluation.metrics() {
		switch entry, ok := metrics.find(name); {
		case !ok:
			v.bad("evaluation.metrics: there is no metric %q; registered are %q", name, metrics.names())
		case seen[name]:
			v.bad("evaluation.metrics names %q twice", name)
		case entry.Generator && c.Task.Name == "" && c.withoutGenerator():
			v.bad("evaluation.metrics: %q is of the generator, and objective.name=%s with replacements.source=%s has none", name, c.Objective.Name, c.Replacements.Source)
		}
		seen[name] = true
	}
}

func (v *validation) data(c Config) {
	v.positive("data.vocab_size", c.Data.VocabSize)
	if c.Data.Alphabet < 0 {
		v.bad("data.alphabet must not be negative, it is %d; 0 is 1000", c.Data.Alphabet)
	}
	if n := c.Data.LongestWord; n < 0 || n > LongestWord {
		v.bad("data.longest_word must be from 0 to %d, it is %d; 0 is 100", LongestWord, n)
	}
	if n := c.Training.WordBudget; n < 0 {
		v.bad("training.word_budget must not be negative, it is %d; 0 is no limit", n)
	}
	if n := c.Training.WordMilestones; n < 0 {
		v.bad("training.word_milestones must not be negative, it is %d; 0 keeps no checkpoints by words", n)
	}
	if _, err := ParseMixture(c.Data.Mixture); err != nil && c.Task.Name == "" {
		v.problems = append(v.problems, err)
	}
	v.within("data.near_duplicates", c.Data.NearDuplicates, 0, 1)
	if c.Data.SeqLen < 4 {
		v.bad("data.seq_len must be at least 4, it is %d", c.Data.SeqLen)
	}
	if c.Embeddings.Width < 0 {
		v.bad("embeddings.width must not be negative, it is %d; 0 is main.width", c.Embeddings.Width)
	}
	if s := c.Embeddings.OutputScale; s == 1 || s != 0 && !(s > 0 && s <= 1e4) {
		v.bad("embeddings.output_scale must be in (0, 10000] and not 1, it is %g; 0 is no scale", s)
	}
	if pool, ok := c.BytePool(1); ok && pool.ByteWidth%layers.BytePoolHeads != 0 {
		v.bad("embeddings.options.byte_width must be a multiple of %d, the heads that read bytes, it is %d", layers.BytePoolHeads, pool.ByteWidth)
	}
	if c.Embeddings.TokenTypes < 0 {
		v.bad("embeddings.token_types must not be negative, it is %d", c.Embeddings.TokenTypes)
	}
	p := c.Positions
	if p.Rows != 0 && p.Rows < c.Data.SeqLen {
		v.bad("positions.rows must be 0 or at least data.seq_len (%d), it is %d", c.Data.SeqLen, p.Rows)
	}
	if p.Relative != RelativeNone && (p.Bins < 4 || p.MaxDistance <= p.Bins/4+1) {
		v.bad("positions.bins must be at least 4 and positions.max_distance above bins/4+1, they are %d and %d", p.Bins, p.MaxDistance)
	}
	if p.Relative == RelativeT5 && p.Bins%4 != 0 {
		v.bad("positions.bins must be a multiple of 4 for t5 positions, it is %d", p.Bins)
	}
	if p.PerLayer && p.Relative != RelativeNone && c.Main.LayerSharing == LayerSharingAll {
		v.bad("positions.per_layer gives each layer a table of its own, and main.layer_sharing=%s none; set positions.per_layer=false", LayerSharingAll)
	}
	v.within("positions.scale", p.Scale, 0, 1e4)
}

// mostLayers bounds what is listed layer by layer.
const mostLayers = 10_000

func (v *validation) encoder(path string, e Encoder) {
	v.positive(path+".layers", e.Layers)
	if e.Layers > mostLayers {
		v.bad("%s.layers must be at most %d, it is %d", path, mostLayers, e.Layers)
	}
	v.positive(path+".width", e.Width)
	v.positive(path+".heads", e.Heads)
	v.positive(path+".ffn", e.FFN)
	if e.Heads > 0 && e.Width%e.Heads != 0 {
		v.bad("%s.heads must divide %s.width, but %d heads do not divide width %d", path, path, e.Heads, e.Width)
	}
	if sharing := e.LayerSharing; sharing == LayerSharingFeedForward || sharing == LayerSharingAll {
		if f := cmp.Or(e.FeedForward, FeedForwardDense); f != FeedForwardDense {
			v.bad("%s.layer_sharing=%s is of layers with the dense map; set %s.feed_forward=%s (it is %s), or %s.layer_sharing=%s", path, sharing, path, FeedForwardDense, f, path, LayerSharingNone)
		}
	}
	v.within(path+".dropout", e.Dropout, 0, 0.9)
	v.within(path+".epsilon", e.Epsilon, 1e-12, 1e-2)
}

func (v *validation) masking(m Masking) {
	v.within("masking.rate", m.Rate, 0.001, 0.9)
	switch {
	case m.FinalRate == 0:
	case m.FinalRate == m.Rate:
		v.bad("masking.final_rate is %g, which is masking.rate itself; leave it out for a rate that stays", m.FinalRate)
	default:
		v.within("masking.final_rate", m.FinalRate, 0.001, m.Rate)
	}
	if _, _, err := m.Shares(); err != nil {
		v.problems = append(v.problems, err)
	}
	if entry, ok := patterns.find(m.Pattern); ok && m.WithReplacement && entry.Again == nil {
		v.bad("masking.with_replacement draws single positions; it needs masking.pattern=%s, which is %q", MaskIndependent, m.Pattern)
	}
	if m.ElectraCollisions && !m.WithReplacement {
		v.bad("masking.electra_collisions is about positions drawn twice; it needs masking.with_replacement=true")
	}
}

// Shares reads Rule, "mask/keep/random" in per cent: which part of the masked positions show their own token, and
// which part a random one.
func (m Masking) Shares() (keep, random float64, err error) {
	parts := strings.Split(m.Rule, "/")
	var percent [3]float64
	sum := 0.0
	for i, part := range parts {
		x, err := strconv.ParseFloat(part, 64)
		if err != nil || x < 0 || len(parts) != 3 {
			return 0, 0, badRule(m.Rule)
		}
		percent[i] = x
		sum += x
	}
	if !(math.Abs(sum-100) < 1e-9) { // 70.1+19.8+10.1 is not 100 in binary
		return 0, 0, badRule(m.Rule)
	}
	return percent[1] / 100, percent[2] / 100, nil
}

func badRule(rule string) error {
	return usererr.New(`masking.rule must be mask/keep/random in per cent, which add up to 100, such as "100/0/0", "85/15/0" or "80/10/10"; it is %q`, rule)
}

func (v *validation) replacements(r Replacements) {
	v.within("replacements.temperature", r.Temperature, 1e-4, 1e4)
	if r.TemperatureSchedule != TemperatureConstant {
		v.within("replacements.temperature_decay", r.TemperatureDecay, 1e-4, 1e4)
	}
	if r.Source == SourceFrozen && r.Checkpoint == "" {
		v.bad("replacements.source=%s needs replacements.checkpoint, the folder of the run or of the Hugging Face pair that the generator is from", SourceFrozen)
	}
	if r.Source == SourceStored && r.Checkpoint == "" {
		v.bad("replacements.source=%s needs replacements.checkpoint, the folder that metro corrupt has written", SourceStored)
	}
	if r.Source != SourceFrozen && r.Source != SourceStored && r.Checkpoint != "" {
		v.bad("replacements.checkpoint is %q, but only replacements.source=%s and %s read it; the source is %q", r.Checkpoint, SourceFrozen, SourceStored, r.Source)
	}
}

func (v *validation) objective(c Config) {
	o := c.Objective
	v.within("objective.generator_weight", o.GeneratorWeight, 0, 1e6)
	v.within("objective.rtd_weight", o.RTDWeight, 0, 1e6)
	v.within("objective.clm_weight", o.CLMWeight, 0, 1e6)
	v.within("objective.scl_weight", o.SCLWeight, 0, 1e6)
	v.exits(c)
}

func (v *validation) optimizer(c Config) {
	o := c.Optimizer
	v.within("optimizer.learning_rate", o.LearningRate, 0, 10)
	v.within("optimizer.final_fraction", o.FinalFraction, 0, 1)
	v.within("optimizer.beta1", o.Beta1, 0, 0.99999)
	v.within("optimizer.beta2", o.Beta2, 0, 0.99999999)
	v.within("optimizer.epsilon", o.Epsilon, 1e-16, 1)
	v.within("optimizer.weight_decay", o.WeightDecay, 0, 10)
	v.within("optimizer.clip_norm", o.ClipNorm, 0, 1e9)
	v.within("optimizer.layer_decay", o.LayerDecay, 0.01, 1)
	if o.WarmupSteps < 0 || o.WarmupSteps > c.Training.Steps {
		v.bad("optimizer.warmup_steps must be between 0 and training.steps (%d), it is %d", c.Training.Steps, o.WarmupSteps)
	}
	if _, err := ParseGroups(o.Groups); err != nil {
		v.problems = append(v.problems, err)
	}
}

// groups checks the groups of a config that holds otherwise, as far as it tells which weights there are; of parts from elsewhere
// and of tasks, [Config.CheckGroups] is called once they are known.
func (v *validation) groups(c Config) {
	if inv, complete := c.Inventory(1); complete && c.Optimizer.Groups != "" {
		if err := c.CheckGroups(inv); err != nil {
			v.problems = append(v.problems, err)
		}
	}
}

func (v *validation) training(c Config) {
	t := c.Training
	v.positive("training.steps", t.Steps)
	v.positive("training.batch_size", t.BatchSize)
	if most := math.MaxInt32 / max(1, c.Data.SeqLen); t.BatchSize > most {
		v.bad("training.batch_size must be at most %d with rows of %d tokens, it is %d", most, c.Data.SeqLen, t.BatchSize)
	}
	v.positive("training.log_every", t.LogEvery)
	v.positive("training.eval_every", t.EvalEvery)
	v.positive("training.checkpoint_every", t.CheckpointEvery)
	v.positive("training.keep_checkpoints", t.KeepCheckpoints)
	if t.KeepAt < 0 || t.KeepAt > t.Steps {
		v.bad("training.keep_at must be a step, at most training.steps (%d), or 0 for none; it is %d", t.Steps, t.KeepAt)
	}
	if !(t.EMA >= 0 && t.EMA < 1) {
		v.bad("training.ema is the part of the average that stays at a step, from 0, which keeps none, to less than 1, such as 0.995; it is %g", t.EMA)
	}
	if t.Accumulate <= 0 || t.BatchSize%t.Accumulate != 0 {
		v.bad("training.accumulate must divide training.batch_size (%d), it is %d", t.BatchSize, t.Accumulate)
	}
	if o := c.objective(); t.Accumulate > 1 && c.Task.Name == "" && o.Name != "" && !o.InParts {
		v.bad("training.accumulate=%d: objective %q does not say that its loss is the same in parts (metro.ObjectiveEntry.InParts); set training.accumulate=1, or make its terms of Pass.Mean and Pass.Gather and say so",
			t.Accumulate, o.Name)
	}
}

// stages checks the two stages of pretraining, and what it is measured on.
func (v *validation) stages(c Config) {
	t := c.Training
	if t.GeneratorSteps < 0 || t.GeneratorSteps >= t.Steps && t.GeneratorSteps > 0 {
		v.bad("training.generator_steps must be between 0 and training.steps−1 (%d), it is %d", t.Steps-1, t.GeneratorSteps)
	}
	if t.PrefixSteps < 0 || t.PrefixSteps >= t.Steps && t.PrefixSteps > 0 {
		v.bad("training.prefix_steps must be between 0 and training.steps−1 (%d), it is %d", t.Steps-1, t.PrefixSteps)
	}
	if l, all := t.PrefixLayers, c.Main.Layers; t.PrefixSteps > 0 && all > 0 && (l <= 0 || l >= all || all%l != 0) {
		v.bad("training.prefix_layers must divide main.layers (%d), and be less, so that training.prefix_steps=%d has prefixes to draw from; it is %d",
			all, t.PrefixSteps, l)
	}
	v.positive("evaluation.rows", c.Evaluation.Rows)
	v.within("growth.noise", c.Growth.Noise, 0, 1)
	if t.Fork == "" {
		return
	}
	if _, step, err := ParseFork(t.Fork); err != nil {
		v.problems = append(v.problems, err)
	} else if step >= t.Steps {
		v.bad("training.fork=%s goes on after step %d, and training.steps=%d leaves nothing to train; set training.steps above %d", t.Fork, step, t.Steps, step)
	}
}

func (v *validation) task(c Config) {
	switch t := c.Task; {
	case t.Name == "" && t.Data != "":
		v.bad("task.data is %q, but without task.name nothing reads it", t.Data)
	case t.Name == "" && t.FromScratch:
		v.bad("task.from_scratch is the control of a task; it needs task.name")
	case t.Name == "" && t.Pooling != "":
		v.bad("task.pooling is what a task's head reads; it needs task.name")
	case t.Pooling != "" && t.Pooling != PoolingCLS:
		v.bad("task.pooling is %q; it can be %q, or empty for the mean of the states", t.Pooling, PoolingCLS)
	case t.Name == "" && t.Adaptation != "":
		v.bad("task.adaptation is what a fine-tuning trains; it needs task.name")
	case t.Adaptation == "" && !t.AdaptationOptions.IsZero():
		v.bad("task.adaptation_options are those of an adaptation, and task.adaptation names none")
	case t.Name != "" && c.Training.InitFrom == "" && !t.FromScratch:
		v.bad("task.name=%s is trained on a pretrained model; set training.init_from to the folder of one", t.Name)
	}
}

// pairs refuses what makes no sense together.
func (v *validation) pairs(c Config) {
	const all = "sharing=all makes the two one encoder"
	const copied = "training.copy_generator starts the main model from the generator's weights"
	for _, shape := range []struct {
		when bool
		why  string
	}{{c.Sharing == SharingAll, all}, {c.Training.CopyGenerator, copied}} {
		main := c.Main.Computes("main")
		for i, a := range c.Generator.Computes("generator") {
			if b := main[i]; shape.when && a.Value != b.Value {
				v.bad("%s: %s is %v and %s is %v; make them equal", shape.why, a.Path, a.Value, b.Path, b.Value)
			}
		}
	}
	if c.Replacements.Source == SourceFrozen && c.Sharing != SharingNone {
		v.bad("replacements.source=%s keeps the generator as it is, so it can share nothing with a main model that learns; set sharing=%s (it is %q)",
			SourceFrozen, SharingNone, c.Sharing)
	}
	if c.Training.GeneratorSteps > 0 && c.Sharing != SharingNone {
		v.bad("training.generator_steps=%d trains one model after the other, so they can share nothing; set sharing=%s (it is %q)",
			c.Training.GeneratorSteps, SharingNone, c.Sharing)
	}
	if c.Training.GeneratorSteps > 0 && c.Replacements.Source != SourceJoint {
		v.bad("training.generator_steps=%d trains a generator, but replacements.source=%q has none that learns; set it to %s",
			c.Training.GeneratorSteps, c.Replacements.Source, SourceJoint)
	}
	if c.Training.GeneratorSteps > 0 && c.Training.PrefixSteps > 0 {
		v.bad("training.generator_steps=%d trains the generator alone at first, and training.prefix_steps=%d the main model's prefixes; set one of them to 0",
			c.Training.GeneratorSteps, c.Training.PrefixSteps)
	}
	if s := c.Main.LayerSharing; c.Training.PrefixSteps > 0 && (s == LayerSharingFeedForward || s == LayerSharingAll) {
		v.bad("training.prefix_steps=%d moves some layers and leaves the others, and main.layer_sharing=%s has weights that are of all; set one of them to 0 or %s",
			c.Training.PrefixSteps, s, LayerSharingNone)
	}
	if c.Training.PrefixSteps > 0 && c.Objective.Name == objectiveExits {
		v.bad("training.prefix_steps=%d trains prefixes, which end below layers at which objective.name=%s has heads; set it to 0", c.Training.PrefixSteps, objectiveExits)
	}
	if c.Training.CopyGenerator && c.Training.GeneratorSteps == 0 {
		v.bad("training.copy_generator is about the second stage; it needs training.generator_steps above 0")
	}
	if c.Replacements.Dropout == SampleZero && c.Generator.Dropout != 0 && !c.withoutGenerator() {
		v.bad("replacements.dropout=%s means a generator without dropout, but generator.dropout is %g; set it to 0, or replacements.dropout to %s or %s",
			SampleZero, c.Generator.Dropout, SampleTrain, SampleEval)
	}
	if c.Objective.Name == "mlm" && c.Training.GeneratorSteps > 0 {
		v.bad("objective.name=mlm has no generator; set training.generator_steps=0")
	}
}
