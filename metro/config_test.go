// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

func TestRecipesAreValid(t *testing.T) {
	for _, name := range recipes.Names() {
		c, err := recipes.Get(name)
		require.NoError(t, err)
		if c.Replacements.Source == metro.SourceFrozen && c.Replacements.Checkpoint == "" {
			c.Replacements.Checkpoint = "runs/a" // which only its user can name
		}
		require.NoError(t, c.Validate(), name)
	}
}

// invalid holds assignments that make a valid config invalid, each alone, and the sentence that says so.
var invalid = map[string]string{
	"data.vocab_size=0":                    "data.vocab_size must be positive, it is 0",
	"data.seq_len=3":                       "data.seq_len must be at least 4, it is 3",
	"embeddings.width=-1":                  "embeddings.width must not be negative, it is -1; 0 is main.width",
	"embeddings.output_scale=1":            "embeddings.output_scale must be in (0, 10000] and not 1, it is 1; 0 is no scale",
	"embeddings.token_types=-2":            "embeddings.token_types must not be negative, it is -2",
	"embeddings.kind=words":                `embeddings.kind must be one of ["bytes" "table"], it is "words"`,
	"main.feed_forward=experts":            `main.feed_forward must be one of ["dense" "moe"], it is "experts"`,
	"main.layer_sharing=ffn":               `main.layer_sharing must be one of ["none" "feed_forward" "all"], it is "ffn"`,
	"generator.layer_sharing=every":        `generator.layer_sharing must be one of ["none" "feed_forward" "all"], it is "every"`,
	"generator.feed_forward=":              `generator.feed_forward must be one of ["dense" "moe"], it is ""`,
	"growth.width=wide":                    `growth.width must be one of ["" "fpi" "aki"], it is "wide"`,
	"growth.depth=zeros":                   `growth.depth must be one of ["stack" "interpolate" "zero"], it is "zeros"`,
	"growth.optimizer=kept":                `growth.optimizer must be one of ["reset" "mapped"], it is "kept"`,
	"growth.noise=2":                       "growth.noise must be in [0, 1], it is 2",
	"main.layers=0":                        "main.layers must be positive, it is 0",
	"main.width=-64":                       "main.width must be positive, it is -64",
	"main.heads=0":                         "main.heads must be positive, it is 0",
	"main.heads=3":                         "main.heads must divide main.width, but 3 heads do not divide width 64",
	"main.ffn=0":                           "main.ffn must be positive, it is 0",
	"main.activation=swish":                `main.activation must be one of ["gelu" "gelu_tanh" "relu"], it is "swish"`,
	"main.norm=both":                       `main.norm must be one of ["post" "pre"], it is "both"`,
	"main.init=zeros":                      `main.init must be one of ["normal" "truncated" "fan_in" "t5"], it is "zeros"`,
	"main.init_scale=admin":                `main.init_scale must be one of ["none" "depth"], it is "admin"`,
	"main.dropout=0.95":                    "main.dropout must be in [0, 0.9], it is 0.95",
	"main.dropout=-0.1":                    "main.dropout must be in [0, 0.9], it is -0.1",
	"main.epsilon=0":                       "main.epsilon must be in [1e-12, 0.01], it is 0",
	"generator.layers=0":                   "generator.layers must be positive, it is 0",
	"generator.width=0":                    "generator.width must be positive, it is 0",
	"generator.heads=5":                    "generator.heads must divide generator.width, but 5 heads do not divide width 64",
	"generator.ffn=0":                      "generator.ffn must be positive, it is 0",
	"generator.activation=":                `generator.activation must be one of ["gelu" "gelu_tanh" "relu"], it is ""`,
	"generator.norm=":                      `generator.norm must be one of ["post" "pre"], it is ""`,
	"generator.init=":                      "generator.init must be one of",
	"generator.init_scale=":                "generator.init_scale must be one of",
	"generator.dropout=1":                  "generator.dropout must be in [0, 0.9], it is 1",
	"generator.epsilon=1":                  "generator.epsilon must be in [1e-12, 0.01], it is 1",
	"sharing=some":                         `sharing must be one of ["none" "token" "token_position" "token_position_norm" "all" "gdes"], it is "some"`,
	"positions.relative=rotary":            `positions.relative must be one of ["none" "signed_log" "t5"], it is "rotary"`,
	"positions.bins=3":                     "positions.bins must be at least 4 and positions.max_distance above bins/4+1, they are 3 and 128",
	"positions.max_distance=9":             "positions.max_distance above bins/4+1, they are 32 and 9",
	"positions.scale=-1":                   "positions.scale must be in [0, 10000], it is -1",
	"positions.rows=16":                    "positions.rows must be 0 or at least data.seq_len (32), it is 16",
	"masking.rate=0":                       "masking.rate must be in [0.001, 0.9], it is 0",
	"masking.rate=1":                       "masking.rate must be in [0.001, 0.9], it is 1",
	"masking.final_rate=0.2":               "masking.final_rate must be in [0.001, 0.15], it is 0.2",
	"masking.rule=80/20":                   `masking.rule must be mask/keep/random in per cent, which add up to 100, such as "100/0/0", "85/15/0" or "80/10/10"; it is "80/20"`,
	"masking.pattern=block":                `masking.pattern must be one of ["independent" "span" "whole_word"], it is "block"`,
	"masking.electra_collisions=true":      "masking.electra_collisions is about positions drawn twice; it needs masking.with_replacement=true",
	"replacements.source=oracle":           `it is "oracle"`,
	"replacements.source=frozen":           "replacements.source=frozen needs replacements.checkpoint",
	"replacements.source=stored":           "replacements.source=stored needs replacements.checkpoint, the folder that metro corrupt has written",
	"replacements.checkpoint=runs/a":       `replacements.checkpoint is "runs/a", but only replacements.source=frozen and stored read it; the source is "joint"`,
	"replacements.dropout=on":              `replacements.dropout must be one of ["zero" "train" "eval"], it is "on"`,
	"replacements.temperature=0":           "replacements.temperature must be in [0.0001, 10000], it is 0",
	"replacements.temperature_schedule=up": `replacements.temperature_schedule must be one of ["constant" "exponential" "linear" "polynomial"], it is "up"`,
	"objective.name=gan":                   `it is "gan"`,
	"objective.generator_weight=-1":        "objective.generator_weight must be in [0, 1e+06], it is -1",
	"objective.rtd_weight=-50":             "objective.rtd_weight must be in [0, 1e+06], it is -50",
	"objective.clm_weight=-1":              "objective.clm_weight must be in [0, 1e+06], it is -1",
	"objective.scl_weight=2e6":             "objective.scl_weight must be in [0, 1e+06], it is 2e+06",
	"objective.clm=copy":                   `objective.clm must be one of ["simplified" "weighted" "mixture" "mixture_flow" "without_copy"], it is "copy"`,
	"objective.rtd_head=deep":              `objective.rtd_head must be one of ["linear" "projected"], it is "deep"`,
	"objective.generator_head=none":        `objective.generator_head must be one of ["norm" "plain"], it is "none"`,
	"optimizer.learning_rate=-1":           "optimizer.learning_rate must be in [0, 10], it is -1",
	"optimizer.name=sgd":                   `optimizer.name must be one of ["adamw" "muon"], it is "sgd"`,
	"optimizer.schedule=cosine":            `optimizer.schedule must be one of ["warmup_then_decay" "warmup_times_decay"], it is "cosine"`,
	"optimizer.warmup_steps=-1":            "optimizer.warmup_steps must be between 0 and training.steps (1800), it is -1",
	"optimizer.warmup_steps=1801":          "optimizer.warmup_steps must be between 0 and training.steps (1800), it is 1801",
	"optimizer.final_fraction=1.5":         "optimizer.final_fraction must be in [0, 1], it is 1.5",
	"optimizer.beta1=1":                    "optimizer.beta1 must be in [0, 0.99999], it is 1",
	"optimizer.beta2=1":                    "optimizer.beta2 must be in [0, 0.99999999], it is 1",
	"optimizer.epsilon=0":                  "optimizer.epsilon must be in [1e-16, 1], it is 0",
	"optimizer.weight_decay=-0.01":         "optimizer.weight_decay must be in [0, 10], it is -0.01",
	"optimizer.clip_norm=-2":               "optimizer.clip_norm must be in [0, 1e+09], it is -2",
	"optimizer.layer_decay=0":              "optimizer.layer_decay must be in [0.01, 1], it is 0",
	"optimizer.layer_decay_rule=near":      `optimizer.layer_decay_rule must be one of ["exact" "electra"], it is "near"`,
	"optimizer.groups=main":                `optimizer.groups: cannot read "main"; write`,
	"training.steps=0":                     "training.steps must be positive, it is 0",
	"training.batch_size=0":                "training.batch_size must be positive, it is 0",
	"training.log_every=0":                 "training.log_every must be positive, it is 0",
	"training.eval_every=0":                "training.eval_every must be positive, it is 0",
	"training.checkpoint_every=0":          "training.checkpoint_every must be positive, it is 0",
	"training.keep_checkpoints=0":          "training.keep_checkpoints must be positive, it is 0",
	"training.ema=1":                       "training.ema is the part of the average that stays at a step",
	"training.accumulate=0":                "training.accumulate must divide training.batch_size (64), it is 0",
	"training.accumulate=3":                "training.accumulate must divide training.batch_size (64), it is 3",
	"training.matmul=int8":                 `training.matmul must be one of ["float32" "tf32" "bfloat16"], it is "int8"`,
	"training.activations=int8":            `training.activations must be one of ["float32" "bfloat16"], it is "int8"`,
	"training.generator_steps=-1":          "training.generator_steps must be between 0 and training.steps−1 (1799), it is -1",
	"training.generator_steps=1800":        "training.generator_steps must be between 0 and training.steps−1 (1799), it is 1800",
	"training.prefix_steps=-1":             "training.prefix_steps must be between 0 and training.steps−1 (1799), it is -1",
	"training.prefix_steps=1800":           "training.prefix_steps must be between 0 and training.steps−1 (1799), it is 1800",
	"training.prefix_steps=9":              "training.prefix_layers must divide main.layers (2), and be less, so that training.prefix_steps=9 has prefixes to draw from; it is 0",
	"training.copy_generator=true":         "training.copy_generator is about the second stage; it needs training.generator_steps above 0",
	"data.tokenizer=unigram":               `data.tokenizer must be one of ["" "bpe" "sentencepiece"], it is "unigram"; Unigram models are read, not learned: nothing in Go learns them. Set it to sentencepiece, which is learned here, or begin with a model that has a Unigram spiece.model or tokenizer.json (training.init_from)`,
	"data.alphabet=-1":                     "data.alphabet must not be negative, it is -1",
	"data.longest_word=1001":               "data.longest_word must be from 0 to 1000, it is 1001",
	"training.word_milestones=-1":          "training.word_milestones must not be negative, it is -1; 0 keeps no checkpoints by words",
	"training.word_budget=-1":              "training.word_budget must not be negative, it is -1; 0 is no limit",
	"data.mixture=notes.txt":               `data.mixture must be CORPUS=WEIGHT or CORPUS#FIELD=WEIGHT, with commas between texts, such as notes.txt=0.2; "notes.txt" is not`,
	"data.mixture=a=0.0005":                `the weight of a must be above 0 and below 1, in thousandths, such as 0.25; it is "0.0005"`,
	"data.mixture=a=.5,b=.5":               "data.mixture: its weights are 1 together, and must leave something to the text of data.corpus",
	"data.near_duplicates=1.5":             "data.near_duplicates must be in [0, 1], it is 1.5",
	"task.name=families":                   "task.name=families is trained on a pretrained model; set training.init_from to the folder of one",
	"task.data=mine.jsonl":                 `task.data is "mine.jsonl", but without task.name nothing reads it`,
	"task.from_scratch=true":               "task.from_scratch is the control of a task; it needs task.name",
	"task.pooling=cls":                     "task.pooling is what a task's head reads; it needs task.name",
	"task.adaptation=head":                 "task.adaptation is what a fine-tuning trains; it needs task.name",
	"evaluation.rows=0":                    "evaluation.rows must be positive, it is 0",
	"evaluation.metrics=loss,speed":        `evaluation.metrics: there is no metric "speed"; registered are`,
	"training.keep_at=1801":                "training.keep_at must be a step, at most training.steps (1800), or 0 for none; it is 1801",
	"training.fork=elsewhere":              `training.fork must be RUN@STEP, such as tiny-0123456789@400, with a step from 1; it is "elsewhere"`,
	"training.batch_size=100000000000":     "training.batch_size must be at most 67108863 with rows of 32 tokens, it is 100000000000",
}

// free are the fields that any value of their type suits, alone.
var free = []string{
	"seed", "data.lowercase", "data.corpus", "data.field", "data.files", "positions.absolute", "positions.per_layer", "positions.within_documents", "masking.with_replacement",
	"replacements.disallow_correct", "replacements.temperature_decay", "objective.rtd_zero_init", "optimizer.bias_correction",
	"training.activation_checkpointing", "training.deterministic", "training.init_from", "training.prefix_layers", "growth.restart_generator", "growth.approximate",
}

// tinyOf1800 is Tiny with the numbers that the sentences above quote.
func tinyOf1800() metro.Config {
	c := recipes.Tiny()
	c.Training.Steps, c.Training.BatchSize, c.Optimizer.WarmupSteps = 1800, 64, 90
	return c
}

// Each field out of range is found when it is alone, in a sentence that begins with its path.
func TestEachInvalidFieldIsFound(t *testing.T) {
	tested := map[string]bool{}
	for assignment, want := range invalid {
		c := tinyOf1800()
		require.NoError(t, c.Validate())
		require.NoError(t, c.Set(assignment))
		err := c.Validate()
		require.True(t, usererr.Is(err), "%s: %v", assignment, err)
		require.ErrorContains(t, err, want)
		path, _, _ := strings.Cut(assignment, "=")
		tested[path] = true
	}
	var c metro.Config
	for _, path := range c.Paths() {
		require.NotEqual(t, tested[path], slices.Contains(free, path), "%s belongs into one of the two lists above", path)
	}
	for path, values := range metro.Choices() {
		require.Contains(t, c.Paths(), path)
		require.NotEmpty(t, values)
	}
}

// All that is wrong is said at once, a line each.
func TestValidateSaysAllAtOnce(t *testing.T) {
	c := tinyOf1800()
	for _, assignment := range []string{"main.heads=3", "sharing=some", "training.log_every=0"} {
		require.NoError(t, c.Set(assignment))
	}
	require.EqualError(t, c.Validate(), strings.Join([]string{invalid["main.heads=3"], invalid["sharing=some"], invalid["training.log_every=0"]}, "\n"))
	require.Greater(t, strings.Count((metro.Config{}).Validate().Error(), "\n"), 20)
}

// What a field that is not in use holds does not matter.
func TestUnusedFieldsMayHoldAnything(t *testing.T) {
	for _, assignments := range [][]string{
		{"positions.relative=none", "positions.bins=0", "positions.max_distance=-1"},
		{"replacements.temperature_schedule=constant", "replacements.temperature_decay=0"},
		{"replacements.source=uniform", "generator.dropout=0.1"},
		{"replacements.dropout=eval", "generator.dropout=0.1"},
	} {
		c := tinyOf1800()
		for _, a := range assignments {
			require.NoError(t, c.Set(a))
		}
		require.NoError(t, c.Validate())
	}
}

// pairs are settings that are right alone and make no sense together.
var pairs = []struct {
	set  []string
	want string
}{
	{[]string{"positions.relative=t5", "positions.bins=30"}, "positions.bins must be a multiple of 4 for t5 positions, it is 30"},
	{[]string{"masking.pattern=span", "masking.with_replacement=true"},
		`masking.with_replacement draws single positions; it needs masking.pattern=independent, which is "span"`},
	{[]string{"replacements.temperature_schedule=exponential", "replacements.temperature_decay=0"},
		"replacements.temperature_decay must be in [0.0001, 10000], it is 0"},
	{[]string{"sharing=all"},
		"sharing=all makes the two one encoder: generator.layers is 1 and main.layers is 2; make them equal"},
	{[]string{"sharing=all", "generator.layers=2", "generator.norm=pre"},
		"sharing=all makes the two one encoder: generator.norm is pre and main.norm is post; make them equal"},
	{[]string{"sharing=all", "generator.layers=2", "generator.activation=relu"},
		"sharing=all makes the two one encoder: generator.activation is relu and main.activation is gelu_tanh; make them equal"},
	{[]string{"training.generator_steps=10", "sharing=none", "training.copy_generator=true", "generator.layers=2", "generator.ffn=100"},
		"training.copy_generator starts the main model from the generator's weights: generator.ffn is 100 and main.ffn is 128; make them equal"},
	{[]string{"replacements.source=frozen", "replacements.checkpoint=runs/a"},
		`replacements.source=frozen keeps the generator as it is, so it can share nothing with a main model that learns; set sharing=none (it is "token_position")`},
	{[]string{"training.generator_steps=10"},
		`training.generator_steps=10 trains one model after the other, so they can share nothing; set sharing=none (it is "token_position")`},
	{[]string{"training.generator_steps=10", "sharing=none", "replacements.source=unigram"},
		`training.generator_steps=10 trains a generator, but replacements.source="unigram" has none that learns; set it to joint`},
	{[]string{"training.prefix_steps=10", "training.prefix_layers=2"},
		"training.prefix_layers must divide main.layers (2), and be less, so that training.prefix_steps=10 has prefixes to draw from; it is 2"},
	{[]string{"training.prefix_steps=10", "training.prefix_layers=3", "main.layers=8"},
		"training.prefix_layers must divide main.layers (8), and be less, so that training.prefix_steps=10 has prefixes to draw from; it is 3"},
	{[]string{"training.prefix_steps=10", "training.prefix_layers=1", "training.generator_steps=10", "sharing=none"},
		"training.generator_steps=10 trains the generator alone at first, and training.prefix_steps=10 the main model's prefixes; set one of them to 0"},
	{[]string{"training.prefix_steps=10", "training.prefix_layers=1", "main.layer_sharing=all"},
		"training.prefix_steps=10 moves some layers and leaves the others, and main.layer_sharing=all has weights that are of all; set one of them to 0 or none"},
	{[]string{"training.prefix_steps=10", "training.prefix_layers=1", "objective.name=rtd_clm_exits"},
		"training.prefix_steps=10 trains prefixes, which end below layers at which objective.name=rtd_clm_exits has heads; set it to 0"},
	{[]string{"generator.dropout=0.1"},
		"replacements.dropout=zero means a generator without dropout, but generator.dropout is 0.1; set it to 0, or replacements.dropout to train or eval"},
	{[]string{"objective.name=mlm", "training.generator_steps=10", "sharing=none"},
		"objective.name=mlm has no generator; set training.generator_steps=0"},
}

func TestPairsThatMakeNoSense(t *testing.T) {
	for _, pair := range pairs {
		c := tinyOf1800()
		for _, a := range pair.set {
			require.NoError(t, c.Set(a))
		}
		err := c.Validate()
		require.True(t, usererr.Is(err), "%v: %v", pair.set, err)
		require.EqualError(t, err, pair.want)
	}
}

// Every value that has a name is accepted alone, with what it needs beside it.
func TestEveryChoiceIsValid(t *testing.T) {
	needs := map[string][]string{
		"replacements.source=frozen": {"replacements.checkpoint=runs/a", "sharing=none"},
		"replacements.source=stored": {"replacements.checkpoint=runs/a"},
		"sharing=all":                {"generator.size=same"},
		"main.norm=pre":              {"generator.norm=pre"},
		"task.adaptation":            {"task.name=families", "training.init_from=a"},
	}
	for path, values := range metro.Choices() {
		for _, value := range values {
			c, assignment := tinyOf1800(), path+"="+value
			for _, a := range slices.Concat(needs[path], needs[assignment], []string{assignment}) {
				require.NoError(t, c.Set(a))
			}
			require.NoError(t, c.Validate(), assignment)
		}
	}
}

func TestMaskedPositions(t *testing.T) {
	for _, test := range []struct {
		rate   float64
		length int
		want   int
	}{{0.15, 512, 77}, {0.15, 128, 19}, {0.15, 32, 5}, {0.15, 16, 2}, {0.15, 4, 1}, {0.001, 4, 1}, {0.5, 7, 4}} {
		var c metro.Config
		c.Masking.Rate, c.Data.SeqLen = test.rate, test.length
		require.Equal(t, test.want, c.MaskedPositions(), "%g of %d", test.rate, test.length)
	}
}

func TestEmbeddingWidth(t *testing.T) {
	var c metro.Config
	c.Main.Width = 256
	require.Equal(t, 256, c.EmbeddingWidth())
	c.Embeddings.Width = 128
	require.Equal(t, 128, c.EmbeddingWidth())
}

func TestMaskingShares(t *testing.T) {
	for rule, want := range map[string][2]float64{
		"100/0/0": {0, 0}, "85/15/0": {0.15, 0}, "80/10/10": {0.1, 0.1}, "0/0/100": {0, 1}, "70.1/19.8/10.1": {0.198, 0.101},
	} {
		keep, random, err := metro.Masking{Rule: rule}.Shares()
		require.NoError(t, err, rule)
		require.InDeltaSlice(t, want[:], []float64{keep, random}, 1e-12, rule)
	}
	for _, rule := range []string{"", "100", "80/20", "80/10/10/0", "80/10/11", "90/20/-10", "a/b/c", "80/10/", "NaN/0/0", "Inf/0/0", "1e400/0/0"} {
		_, _, err := metro.Masking{Rule: rule}.Shares()
		require.True(t, usererr.Is(err), rule)
		require.ErrorContains(t, err, fmt.Sprintf("it is %q", rule))
	}
}
