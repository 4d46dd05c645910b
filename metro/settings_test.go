// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// idleUnder says for every field under which settings it decides nothing, with commas between those that belong together, and
// what the refusal of setting it there says; a field that no setting makes idle has none. A value stands there where the one
// that [another] gives does not show it.
var idleUnder = map[string][]idleCase{
	"seed":                 nil,
	"data.vocab_size":      {{"training.init_from=a", "", "the tokenizer comes with the model"}, {"replacements.source=frozen,sharing=none,replacements.checkpoint=a", "", "the tokenizer comes with the model"}},
	"data.lowercase":       {{"training.init_from=a", "", "the tokenizer comes with the model"}},
	"data.tokenizer":       {{"training.init_from=a", "bpe", "the tokenizer comes with the model"}},
	"data.alphabet":        {{"training.init_from=a", "", "the tokenizer comes with the model"}, {"data.tokenizer=bpe", "", "another data.tokenizer"}},
	"data.longest_word":    {{"training.init_from=a", "", "the tokenizer comes with the model"}},
	"data.seq_len":         nil,
	"data.corpus":          {{"task.name=families,training.init_from=a", "", "fine-tuning does not look at"}},
	"data.field":           {{"task.name=families,training.init_from=a", "", "fine-tuning does not look at"}},
	"data.files":           {{"task.name=families,training.init_from=a", "", "fine-tuning does not look at"}},
	"data.mixture":         {{"task.name=families,training.init_from=a", "a=0.5", "fine-tuning does not look at"}},
	"data.near_duplicates": {{"task.name=families,training.init_from=a", "", "fine-tuning does not look at"}},

	"embeddings.output_scale": {{"objective.name=rtd,replacements.source=unigram", "0.5", "no head is tied to the token table"}, {"task.name=families,training.init_from=a", "0.5", "no head is tied"}},
	"embeddings.width":        nil, "embeddings.kind": nil, "embeddings.token_types": nil,
	"main.layers": nil, "main.width": nil, "main.heads": nil, "main.ffn": nil, "main.feed_forward": nil, "main.activation": nil, "main.norm": nil,
	"main.dropout": nil, "main.epsilon": nil, "main.init": nil, "main.init_scale": nil,

	"generator.layers":        withoutGenerator,
	"generator.width":         withoutGenerator,
	"generator.heads":         withoutGenerator,
	"generator.ffn":           withoutGenerator,
	"generator.feed_forward":  withoutGenerator,
	"main.layer_sharing":      {{"main.layers=1", "", "main.layers is 1"}},
	"generator.layer_sharing": append([]idleCase{{"generator.layers=1", "", "generator.layers is 1"}}, withoutGenerator...),
	"generator.activation":    withoutGenerator,
	"generator.norm":          withoutGenerator,
	"generator.epsilon":       withoutGenerator,
	"generator.dropout":       {{"objective.name=mlm", "", "has no generator"}, {frozen + ",replacements.dropout=eval", "", "samples without dropout"}},
	"generator.init":          {{"objective.name=mlm", "", "has no generator"}, {frozen, "", "weights are read"}},
	"generator.init_scale":    {{"objective.name=mlm", "", "has no generator"}, {frozen, "", "weights are read"}, {"sharing=all", "", "the main model's layers"}},

	"positions.absolute":         nil,
	"positions.rows":             {{"positions.absolute=false", "64", "it needs positions.absolute=true"}},
	"positions.within_documents": {task},
	"positions.relative":         nil,
	"positions.per_layer":        {{"positions.relative=none", "", "another positions.relative"}},
	"positions.bins":             {{"positions.relative=none", "", "another positions.relative"}},
	"positions.max_distance":     {{"positions.relative=none", "", "another positions.relative"}, {"data.seq_len=8,positions.bins=32", "100000", "the same buckets"}},
	"positions.scale":            {{"positions.relative=none", "", "another positions.relative"}},

	"sharing":                    {{"objective.name=mlm", "", "no generator"}, {"replacements.source=uniform", "", "no generator"}},
	"masking.rate":               {task},
	"masking.final_rate":         {task},
	"masking.rule":               {task, {"replacements.source=unigram", "80/10/10", "only a generator reads the masked rows"}},
	"masking.pattern":            {task},
	"masking.with_replacement":   {task},
	"masking.electra_collisions": {{"masking.with_replacement=false", "", "masking.with_replacement=true"}, {"objective.name=mlm,masking.with_replacement=true", "", "replaces no tokens"}},

	"replacements.source":               {task},
	"replacements.checkpoint":           {task},
	"replacements.dropout":              {{"generator.dropout=0", "eval", "generator.dropout is 0"}, {"replacements.source=uniform", "", "has no generator"}},
	"replacements.temperature":          {{"objective.name=mlm", "", "replaces no tokens"}, {"replacements.source=uniform", "", "every token alike"}, {stored, "", "replacements.source=stored has drawn them before"}},
	"replacements.temperature_schedule": {{"objective.name=mlm", "exponential", "replaces no tokens"}, {"replacements.temperature=1", "exponential", "temperature is 1"}},
	"replacements.temperature_decay":    {{"replacements.temperature_schedule=constant", "", "another replacements.temperature_schedule"}, {"replacements.temperature=1,replacements.temperature_schedule=exponential", "", "temperature is 1"}, {"replacements.temperature=2,replacements.temperature_schedule=linear", "", "another replacements.temperature_schedule"}},
	"replacements.disallow_correct":     {{"objective.name=mlm", "", "replaces no tokens"}, {stored, "", "has drawn them before"}},

	"objective.name":             {task},
	"objective.generator_weight": {{"objective.name=mlm", "", "has no generator"}, {frozen, "", "no generator that learns"}},
	"objective.rtd_weight":       {{"objective.name=mlm", "", "trains no head rtd"}, {"objective.name=all_token_lm", "", "no term of RTD"}, {"objective.name=rtd_clm,objective.clm=without_copy", "", "trains no head rtd"}},
	"objective.clm_weight":       {{"objective.name=rtd", "", "trains no head clm or lm"}},
	"objective.scl_weight":       {{"objective.name=rtd_clm", "", "trains no head scl"}},
	"objective.clm":              {{"objective.name=rtd", "weighted", "trains no head clm"}},
	"objective.generator_head":   withoutGenerator,
	"objective.rtd_head":         {{"objective.name=mlm", "", "trains no head rtd"}},
	"objective.rtd_zero_init":    {{"objective.name=mlm", "", "trains no head rtd"}},

	"optimizer.learning_rate": nil, "optimizer.schedule": nil, "optimizer.warmup_steps": nil,
	"optimizer.final_fraction": {{"optimizer.warmup_steps=60,training.steps=60", "", "all of training.steps is warm-up"}},
	"optimizer.beta1":          nil, "optimizer.beta2": nil, "optimizer.epsilon": nil, "optimizer.weight_decay": nil,
	"optimizer.bias_correction": {{"training.init_from=a,growth.width=fpi,growth.optimizer=mapped", "", "are corrected already"}},

	"optimizer.clip_norm": nil, "optimizer.layer_decay": nil,
	"optimizer.layer_decay_rule": {{"optimizer.layer_decay=1", "electra", "another optimizer.layer_decay"}},
	"optimizer.groups":           nil, // see TestGroupsThatChangeNothing
	"optimizer.name":             nil,

	"training.steps": nil, "training.batch_size": nil, "training.log_every": nil, "training.eval_every": nil, "training.checkpoint_every": nil,
	"training.keep_checkpoints": nil, "training.keep_at": nil, "training.word_budget": {task}, "training.word_milestones": {task}, "training.fork": {task}, "training.ema": {task}, "training.accumulate": nil, "training.activation_checkpointing": nil, "training.matmul": nil, "training.init_from": nil,
	"training.activations": {{"training.matmul=tf32", "bfloat16", "it needs training.matmul=bfloat16, which is tf32"}}, "training.deterministic": nil,
	"training.generator_steps": {task}, "training.prefix_steps": {task},
	"training.prefix_layers":  {{"training.prefix_steps=0", "", "it needs another training.prefix_steps"}},
	"training.copy_generator": {{"training.generator_steps=0", "", "another training.generator_steps"}},

	"growth.width": {{"", "fpi", "it needs another training.init_from"}, {"task.name=families,training.init_from=a", "fpi", "fine-tuning does not look at"}},
	"growth.depth": {{"training.init_from=a", "interpolate", "another growth.width"}},
	"growth.noise": {{"training.init_from=a", "0.1", "another growth.width"}},
	"growth.restart_generator": {{"training.init_from=a", "", "another growth.width"}, {"training.init_from=a,growth.width=fpi,objective.name=mlm", "", "has no generator"},
		{"training.init_from=a,growth.width=fpi,sharing=none,replacements.checkpoint=b,replacements.source=frozen", "", "has no generator that learns"}},
	"growth.optimizer":   {{"training.init_from=a", "mapped", "another growth.width"}},
	"growth.approximate": {{"training.init_from=a", "", "another growth.width"}},

	"evaluation.rows":    {task},
	"evaluation.metrics": {task},
	"task.name":          nil,
	"task.data":          {{"", "a", "another task.name"}},
	"task.from_scratch":  {{"", "", "another task.name"}},
	"task.pooling":       {{"", "cls", "another task.name"}},
	"task.adaptation":    {{"", "head", "another task.name"}},
}

type idleCase struct{ under, value, why string }

const stored = "replacements.source=stored,replacements.checkpoint=a"

const frozen = "replacements.source=frozen,sharing=none,replacements.checkpoint=a"

var task = idleCase{"task.name=families,training.init_from=a", "", "fine-tuning does not look at"}

var withoutGenerator = []idleCase{{"objective.name=mlm", "", "objective.name=mlm has no generator"}, {"replacements.source=uniform", "", "replacements.source=uniform has no generator"}, task}

// Setting a field is refused, by its name and with the reason, where the rest of the config makes it idle, and only there.
func TestSettingsThatDoNothing(t *testing.T) {
	base := recipes.Tiny()
	for _, f := range base.Fields() {
		cases, known := idleUnder[f.Path]
		require.True(t, known, "write into idleUnder under which settings %s decides nothing", f.Path)
		for _, test := range cases {
			c := base
			value := test.value
			if value == "" {
				value = another(t, base, f.Path)
			}
			var set []string
			if test.under != "" {
				set = strings.Split(test.under, ",")
			}
			before := c
			err := c.SetAll(append(set, f.Path+"="+value)...)
			require.True(t, usererr.Is(err), "%s=%s under %s: %v", f.Path, value, test.under, err)
			require.ErrorContains(t, err, f.Path+"="+value+" does nothing here: ")
			require.ErrorContains(t, err, test.why)
			require.True(t, before == c)
		}
	}
	for path := range idleUnder {
		require.Contains(t, base.Paths(), path)
	}
	for _, set := range [][]string{
		{"replacements.temperature=2", "replacements.temperature_schedule=exponential", "replacements.temperature_decay=0.1"},
		{"replacements.temperature_decay=0.1", "replacements.temperature_schedule=exponential", "replacements.temperature=2"},
		{"generator.dropout=0.1", "replacements.dropout=eval"}, {"objective.name=rtd_clm_scl", "objective.scl_weight=2"},
		{"positions.max_distance=64", "data.seq_len=128"}, {"positions.max_distance=128"}, {"generator.size=same"}, {"training.generator_steps=9", "training.copy_generator=true", "sharing=none"},
		{"training.prefix_layers=1", "training.prefix_steps=9"},
	} {
		c := base
		require.NoError(t, c.SetAll(set...), "%q", set)
	}
	c := base
	require.ErrorContains(t, c.SetAll("objective.name=mlm", "generator.size=same"), "generator.size=same does nothing here: objective.name=mlm has no generator")
	before, behind := c, c
	require.NoError(t, before.SetAll("optimizer.options.momentum=0.9", "main.feed_forward_options.experts=2", "optimizer.name=muon", "main.feed_forward=moe"))
	require.NoError(t, behind.SetAll("optimizer.name=muon", "main.feed_forward=moe", "optimizer.options.momentum=0.9", "main.feed_forward_options.experts=2"))
	require.Equal(t, behind, before, "an option may stand before the part that it is of")
	require.ErrorContains(t, c.SetAll("training.steps=5", " training.steps = 6"), "training.steps is set twice, to 5 and to 6")
	require.ErrorContains(t, c.SetAll("training.stepps=5"), `did you mean "training.steps"`)
}

// A generator without dropout has none, whatever draws from it, and a metric of the generator wants one.
func TestWhatIsOfTheGenerator(t *testing.T) {
	for _, source := range metro.Choices()["replacements.source"] {
		for _, dropout := range metro.Choices()["replacements.dropout"] {
			c := recipes.Tiny()
			c.Replacements.Source, c.Replacements.Dropout, c.Generator.Dropout = source, dropout, 0.1
			if source == metro.SourceFrozen {
				c.Replacements.Checkpoint, c.Sharing = "a", metro.SharingNone
			}
			if source == metro.SourceStored {
				c.Replacements.Checkpoint = "a"
			}
			hasNone := source == metro.SourceUnigram || source == metro.SourceUniform || source == metro.SourceStored
			if err := c.Validate(); dropout == metro.SampleZero && !hasNone {
				require.ErrorContains(t, err, "replacements.dropout=zero means a generator without dropout, but generator.dropout is 0.1", source)
			} else {
				require.NoError(t, err, "%s %s", source, dropout)
			}
			c.Generator.Dropout, c.Evaluation.Metrics = 0, "tie_cosine"
			if err := c.Validate(); hasNone {
				require.ErrorContains(t, err, `evaluation.metrics: "tie_cosine" is of the generator`)
			} else {
				require.NoError(t, err, source)
			}
		}
	}
	c := recipes.Tiny()
	c.Evaluation.Metrics = "tie_cosine,tie_cosine"
	require.ErrorContains(t, c.Validate(), `evaluation.metrics names "tie_cosine" twice`)
}

// A group of weights that changes nothing is refused with the reason.
func TestGroupsThatChangeNothing(t *testing.T) {
	for groups, why := range map[string]string{
		"genrator: lr=0":                             `no weight that learns has a path that begins with "genrator"; did you mean "generator"?`,
		"main/layer_9: lr=2":                         `begins with "main/layer_9"; did you mean "main/layer_`,
		"main/rdt: lr=2; generator: lr=0":            `"main/rdt"; did you mean "main/rtd"?`,
		"main: lr=1":                                 `the group "main" changes nothing`,
		"main/rtd: lr=2; main: lr=3":                 `the group "main/rtd" changes nothing`,
		"main/rtd: decay=0.01":                       `the group "main/rtd" changes nothing`,
		"main/rtd/output/bias: decay=0.5":            `the group "main/rtd/output/bias" changes nothing`,
		"quite another thing altogether it is: lr=0": `begins with "quite another thing altogether it is"`,
	} {
		c := recipes.Tiny()
		c.Optimizer.Groups = groups
		err := c.Validate()
		require.True(t, usererr.Is(err), groups)
		require.ErrorContains(t, err, "optimizer.groups: ")
		require.ErrorContains(t, err, why)
	}
	c := recipes.Tiny()
	c.Optimizer.Groups, c.Replacements.Source, c.Replacements.Checkpoint, c.Sharing = "generator: lr=0", metro.SourceFrozen, "a", metro.SharingNone
	require.ErrorContains(t, c.Validate(), `begins with "generator"; the frozen generator's do not learn`)
	c = recipes.Tiny()
	c.Optimizer.Groups = "main: lr=3 decay=0.3; main/rtd: lr=1; generator: lr=0"
	require.NoError(t, c.Validate())
}
