// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Faults stand where two settings meet. So every switch of a config, which is every name that a field can have for its
// value, every truth value, and the numbers below, meets everything else that is done with a run:
//
//	resume      stopped and gone on with, it is the run that was not stopped, to the bit
//	accumulate  in two parts, its first step is that of the whole batch, but for rounding
//	bf16        pure Go refuses it by name; with METROLAB_TEST_LONG=1, XLA trains it, with activations in float32 and in bfloat16
//	export      a run that begins with its Hugging Face folders measures what it measured last, to the bit
//	freeze      another run trains against its generator
//	share       it trains with one encoder for both models
//
// Each pair works, or is refused with a sentence that names the field, or stands among the exceptions. A switch that is new
// enters the table by being declared; where it is neither a name nor a truth value, the test asks for a number.

// numbers are values for the fields that have neither names nor truth values, other than those of the base.
var numbers = map[string]string{
	"seed":            "5",
	"data.seq_len":    "12",
	"data.vocab_size": "310",
	"data.alphabet":   "20", "data.longest_word": "4", "data.near_duplicates": "0.99",

	"embeddings.width": "12", "embeddings.token_types": "2", "embeddings.output_scale": "0.5",
	"main.layers": "2", "main.width": "12", "main.heads": "4", "main.ffn": "20", "main.dropout": "0.1", "main.epsilon": "1e-5",
	"generator.layers": "2", "generator.width": "12", "generator.heads": "4", "generator.ffn": "20", "generator.dropout": "0.1", "generator.epsilon": "1e-5",
	"positions.rows": "20", "positions.bins": "8", "positions.max_distance": "64", "positions.scale": "3",

	"main.feed_forward_options.experts": "3", "main.feed_forward_options.top_k": "2", "main.feed_forward_options.capacity": "0.5", "main.feed_forward_options.evaluation_capacity": "0.5",
	"main.feed_forward_options.min_capacity": "1", "main.feed_forward_options.group_rows": "0", "main.feed_forward_options.jitter": "0.1",
	"main.feed_forward_options.balance_weight": "0.1", "main.feed_forward_options.z_weight": "0.1",
	"generator.feed_forward_options.experts": "3", "generator.feed_forward_options.top_k": "2", "generator.feed_forward_options.capacity": "0.5", "generator.feed_forward_options.evaluation_capacity": "0.5",
	"generator.feed_forward_options.min_capacity": "1", "generator.feed_forward_options.group_rows": "0", "generator.feed_forward_options.jitter": "0.1",
	"generator.feed_forward_options.balance_weight": "0.1", "generator.feed_forward_options.z_weight": "0.1",

	"embeddings.options.bytes": "3", "embeddings.options.byte_width": "8", "embeddings.options.pool": "all",

	"masking.rate": "0.3", "masking.final_rate": "0.1", "masking.rule": "80/10/10",
	"replacements.temperature": "1.5", "replacements.temperature_decay": "0.1", "replacements.temperature_options.power": "3",
	"objective.options.form": "mix", "objective.options.targets": "shuffled", "objective.options.weight": "0.5", "objective.options.threshold": "0.2",
	"objective.generator_weight": "2", "objective.rtd_weight": "2", "objective.clm_weight": "2", "objective.scl_weight": "2",
	"objective.options.layers": "1", "objective.options.early_weight": "0.5", "objective.options.power": "0",

	"optimizer.learning_rate": "1e-3", "optimizer.warmup_steps": "2", "optimizer.final_fraction": "0.5",
	"optimizer.beta1": "0.8", "optimizer.beta2": "0.9", "optimizer.epsilon": "1e-7",
	"optimizer.weight_decay": "0.1", "optimizer.clip_norm": "0.5", "optimizer.layer_decay": "0.8", "optimizer.options.momentum": "0.9", "optimizer.groups": "main: lr=0.5",

	"training.steps": "5", "training.batch_size": "6", "training.accumulate": "2", "training.generator_steps": "2", "training.ema": "0.9",
	"training.prefix_steps": "2", "training.prefix_layers": "1",
	"growth.noise":    "0.1",
	"evaluation.rows": "8", "evaluation.metrics": "tie_cosine",
}

// elsewhere are fields that are no switches of this table, and why.
var elsewhere = map[string]string{
	"training.matmul":      "it is what bf16 is about",
	"training.activations": "it needs training.matmul=bfloat16, and then is what bf16 is about",
	"growth.depth":         "zero wants a source under pre-LN; TestRunsBeginGrown has each",
	"task.name":            "a task's runs are those of package tasks",
	"task.from_scratch":    "a task's runs are those of package tasks",
	"task.pooling":         "a task's runs are those of package tasks",
	"task.adaptation":      "a task's runs are those of package tasks; TestAdaptationsWithTheRest has each",
}

// beside are the settings that a switch needs. DIR is the folder of a run of the base, and STORED what its generator draws for the base.
var beside = map[string][]string{
	"embeddings.options.bytes=3":               {"embeddings.kind=bytes"},
	"embeddings.options.byte_width=8":          {"embeddings.kind=bytes"},
	"embeddings.options.pool=all":              {"embeddings.kind=bytes"},
	"main.layer_sharing=feed_forward":          {"main.layers=2"},
	"main.layer_sharing=all":                   {"main.layers=2"},
	"generator.layer_sharing=feed_forward":     {"generator.layers=2"},
	"generator.layer_sharing=all":              {"generator.layers=2"},
	"replacements.source=frozen":               {"sharing=none", "replacements.checkpoint=DIR"},
	"replacements.source=stored":               {"replacements.checkpoint=STORED"},
	"replacements.temperature_options.power=3": {"replacements.temperature=2", "replacements.temperature_schedule=polynomial"},
	"replacements.temperature_decay=0.1":       {"replacements.temperature=2", "replacements.temperature_schedule=exponential"},
	"masking.electra_collisions=true":          {"masking.with_replacement=true"},
	"objective.scl_weight=2":                   {"objective.name=rtd_clm_scl"},
	"objective.options.form=mix":               {"objective.name=rtd_clm_mist", "positions.rows=16"},
	"objective.options.targets=shuffled":       {"objective.name=rtd_clm_mist"},
	"objective.options.weight=0.5":             {"objective.name=rtd_clm_mist"},
	"objective.options.threshold=0.2":          {"objective.name=rtd_clm_mist"},
	"objective.name=rtd_clm_exits":             {"main.layers=2"},
	"objective.options.layers=1":               {"main.layers=3", "objective.name=rtd_clm_exits"},
	"objective.options.early_weight=0.5":       {"main.layers=2", "objective.name=rtd_clm_exits"},
	"objective.options.power=0":                {"main.layers=3", "objective.name=rtd_clm_exits"},
	"generator.dropout=0.1":                    {"replacements.dropout=train"},
	"optimizer.layer_decay_rule=electra":       {"optimizer.layer_decay=0.8"},
	"optimizer.options.momentum=0.9":           {"optimizer.name=muon"},
	"training.generator_steps=2":               {"sharing=none"},
	"training.copy_generator=true":             {"sharing=none", "training.generator_steps=2"},
	"training.prefix_steps=2":                  {"main.layers=2", "generator.layers=2", "training.prefix_layers=1"},
	"training.prefix_layers=1":                 {"main.layers=2", "generator.layers=2", "training.prefix_steps=2"},
	"growth.width=fpi":                         twiceAsWide,
	"growth.width=aki":                         twiceAsWide,
	"growth.noise=0.1":                         append([]string{"growth.width=fpi"}, twiceAsWide...),
	"growth.optimizer=mapped":                  append([]string{"growth.width=fpi"}, twiceAsWide...),
	"growth.restart_generator=true":            append([]string{"growth.width=fpi"}, twiceAsWide...),
}

// twiceAsWide begins with the base, grown.
var twiceAsWide = []string{"training.init_from=DIR", "main.width=16", "main.heads=4", "main.ffn=32", "generator.size=same", "embeddings.output_scale=0.5"}

// expertsSwitches are those of a map of experts, each with what stands beside it.
var expertsSwitches = map[string][]string{
	"experts=3": nil, "top_k=2": nil, "whole=true": nil, "capacity=0.5": nil, "evaluation_capacity=0.5": nil, "min_capacity=1": nil, "group_rows=0": nil,
	"random_selection=true": {"capacity=0.5"}, "random_second=true": {"top_k=2"}, "jitter=0.1": nil, "balance_weight=0.1": nil, "z_weight=0.1": nil,
}

func init() {
	for _, option := range []string{"rank", "alpha", "maps", "tokens", "mlp", "states", "first_layer", "random_generator"} {
		elsewhere["task.adaptation_options."+option] = elsewhere["task.adaptation"]
	}
	for _, model := range []string{"main", "generator"} {
		for setting, others := range expertsSwitches {
			settings := []string{model + ".feed_forward=moe"}
			for _, other := range others {
				settings = append(settings, model+".feed_forward_options."+other)
			}
			beside[model+".feed_forward_options."+setting] = settings
		}
	}
}

// isLoad tells the metrics of experts that are those of what is computed at once.
func isLoad(name string, _ float64) bool {
	return strings.HasSuffix(name, "load_entropy") || strings.HasSuffix(name, "largest_load")
}

// exceptions are the pairs that are refused without the switch's name, by the words of the refusal, and those that work with
// other numbers, by the reason.
var exceptions = map[string]string{
	"training.copy_generator=true × export":  differs + "what begins with the folders copies the generator again",
	"training.ema=0.9 × export":              differs + "what begins with the folders averages from those weights on",
	"growth.restart_generator=true × export": differs + "what begins with the folders draws the generator again",
	"replacements.source=stored × freeze":    "has no generator",
	"replacements.source=unigram × freeze":   "has no generator",
	"replacements.source=uniform × freeze":   "has no generator",
}

// differs begins the exceptions of pairs that work, but do not give equal numbers.
const differs = "differs: "

// pairConfig is the smallest config, of three steps.
func pairConfig(t *testing.T, assignments ...string) metro.Config {
	t.Helper()
	c := micro(3)
	c.Training.LogEvery, c.Training.EvalEvery, c.Training.CheckpointEvery = 1, 3, 3
	c.Data.SeqLen, c.Training.BatchSize, c.Evaluation.Rows, c.Optimizer.WarmupSteps = 8, 4, 4, 1
	for _, a := range append([]string{"main.width=8", "main.heads=2", "main.ffn=16", "generator.size=same"}, assignments...) {
		require.NoError(t, c.Set(a), a)
	}
	return c
}

// switches lists the switches of the table, as assignments. A field that it has no value for fails the test.
func switches(t *testing.T) (list []string) {
	t.Helper()
	choices, fields := metro.Choices(), everyField(t)
	for _, table := range []map[string]string{numbers, elsewhere} {
		for path := range table {
			require.True(t, slices.ContainsFunc(fields, func(f metro.FieldState) bool { return f.Path == path }), "there is no field %s", path)
		}
	}
	for _, f := range fields {
		_, passedOver := elsewhere[f.Path]
		names, isNamed := choices[f.Path]
		isTrue, isTruth := f.Value.(bool)
		number, isNumber := numbers[f.Path]
		switch {
		case f.Class == metro.ClassOperation || f.IsPath || passedOver:
		case isNamed:
			for _, name := range names {
				if name != f.Value && isOurs(name) {
					list = append(list, f.Path+"="+name)
				}
			}
		case isTruth:
			list = append(list, fmt.Sprintf("%s=%t", f.Path, !isTrue))
		case isNumber:
			list = append(list, f.Path+"="+number)
		default:
			require.Fail(t, "the table of pairs has no value for "+f.Path+": write one into numbers in pairs_test.go, or into elsewhere why it needs none")
		}
	}
	return list
}

// everyField lists the fields of the base, and the options of each part that a switch names.
func everyField(t *testing.T) []metro.FieldState {
	t.Helper()
	fields, choices := pairConfig(t).Fields(), metro.Choices()
	for _, path := range slices.Sorted(maps.Keys(choices)) {
		for _, name := range choices[path] {
			if !isOurs(name) {
				continue
			}
			for _, f := range pairConfig(t, path+"="+name).Fields() {
				if !slices.ContainsFunc(fields, func(known metro.FieldState) bool { return known.Path == f.Path }) {
					fields = append(fields, f)
				}
			}
		}
	}
	return fields
}

// isOurs tells the parts of this project from those that tests register.
func isOurs(name string) bool { return !strings.HasPrefix(name, "test_") }

// pairTable is the table while it is tried.
type pairTable struct {
	runner      *training.Runner // of the switch at hand: one of the two
	shared, own *training.Runner // of the switches that leave the base's graph as it is, whose programs serve them all, and of the others
	base        string           // folder of a run without any switch
	stored      string           // folder of what its generator draws for the base
	root        string           // of the folders of the tests, whose names must not look like a refusal's
}

// switched is a run with one switch, and what it is tried with.
type switched struct {
	config metro.Config
	result training.Result
}

// axis is something that is done with runs.
type axis struct {
	name     string
	path     string // of the field that it is about, if there is one: with switches of that field it is not tried
	settings []string
	try      func(t *testing.T, p *pairTable, with metro.Config, alone switched) error
}

var axes = []axis{
	{name: "resume", try: resumes},
	{name: "accumulate", path: "training.accumulate", settings: []string{"training.accumulate=2"}, try: accumulates},
	{name: "bf16", settings: []string{"training.matmul=bfloat16"}, try: refusesBFloat16},
	{name: "export", try: exports},
	{name: "freeze", settings: frozenBy("RUN"), try: trains},
	{name: "share", path: "sharing", settings: []string{"sharing=all"}, try: trains},
}

func TestPairsOfSwitches(t *testing.T) {
	be := backendtest.Go(t)
	p := &pairTable{shared: ownRunner(t, be), own: ownRunner(t, be), root: t.TempDir()}
	small, err := smallCorpus()
	require.NoError(t, err)
	p.shared.Corpus, p.own.Corpus = small, small
	p.runner = p.shared
	p.base, p.stored = p.train(t, pairConfig(t)).Run.Dir, filepath.Join(p.root, "drawn")
	_, err = p.shared.Corrupt(t.Context(), p.base, pairConfig(t), p.stored, 0, nil)
	require.NoError(t, err)
	pairs := map[string]bool{}
	for _, setting := range switches(t) {
		for _, a := range axes {
			pairs[setting+" × "+a.name] = true
		}
		t.Run(setting, func(t *testing.T) {
			p.meet(t, setting)
			require.NoError(t, p.own.Close()) // what it has compiled serves no other switch
		})
	}
	for setting := range beside {
		require.Contains(t, pairs, setting+" × resume", "what stands beside a switch that is not in the table")
	}
	for pair := range exceptions { // that each is needed is seen where its pair is tried
		require.Contains(t, pairs, pair, "an exception of a pair that is not in the table")
	}
}

// meet tries one switch with everything.
func (p *pairTable) meet(t *testing.T, setting string) {
	t.Helper()
	path, _, _ := strings.Cut(setting, "=")
	var settings, paths []string
	for _, a := range append(slices.Clone(beside[setting]), setting) {
		settings = append(settings, strings.NewReplacer("DIR", p.base, "STORED", p.stored).Replace(a))
		field, _, _ := strings.Cut(a, "=")
		paths = append(paths, field)
	}
	alone := switched{config: pairConfig(t, settings...)}
	require.NoError(t, alone.config.Validate(), "what has to stand beside %s belongs into the table beside", setting)
	if p.runner = p.own; alone.config.GraphKey() == pairConfig(t).GraphKey() {
		p.runner = p.shared
	}
	alone.result = p.train(t, alone.config)
	for _, a := range axes {
		if a.path == path {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			pair := setting + " × " + a.name
			with := alone.config
			for _, assignment := range a.settings {
				require.NoError(t, with.Set(strings.ReplaceAll(assignment, "RUN", alone.result.Run.Dir)))
			}
			err := with.Validate()
			if err == nil {
				err = a.try(t, p, with, alone)
			}
			want, excepted := exceptions[pair]
			refusedByName := usererr.Is(err) && slices.ContainsFunc(paths, func(path string) bool { return strings.Contains(err.Error(), path) })
			switch {
			case strings.HasPrefix(want, differs):
				require.ErrorIs(t, err, errDiffers, pair)
			case excepted:
				require.True(t, usererr.Is(err), "%s: %v", pair, err)
				require.ErrorContains(t, err, want, pair)
			case refusedByName:
				t.Log(err)
			default:
				require.NoError(t, err, pair)
			}
		})
	}
}

// errDiffers is what the pairs fail with that work and should have given the same numbers as the switch alone.
var errDiffers = fmt.Errorf("other numbers")

// folder makes a new folder.
func (p *pairTable) folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(p.root, "")
	require.NoError(t, err)
	return dir
}

// train trains a config that works.
func (p *pairTable) train(t *testing.T, c metro.Config) training.Result {
	t.Helper()
	result, err := p.runner.Run(t.Context(), "run", c, nil)
	require.NoError(t, err)
	require.Empty(t, result.Diverged)
	return result
}

func trains(t *testing.T, p *pairTable, with metro.Config, _ switched) error {
	result, err := p.runner.Run(t.Context(), "run", with, nil)
	require.Empty(t, result.Diverged)
	return err
}

func resumes(t *testing.T, p *pairTable, with metro.Config, alone switched) error {
	store := p.runner.Store
	defer func() { p.runner.Store = store }()
	p.runner.Store = runs.Store{Root: p.folder(t)}
	ctx, stop := context.WithCancel(t.Context())
	_, err := p.runner.Run(ctx, "run", with, func(at training.Progress) {
		if at.Step == 2 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	resumed, err := p.runner.Run(t.Context(), "run", with, nil)
	if err == nil {
		equalRuns(t, alone.result.Run, resumed.Run)
	}
	return err
}

func accumulates(t *testing.T, p *pairTable, with metro.Config, alone switched) error {
	parts, err := p.runner.Run(t.Context(), "run", with, nil)
	if err != nil {
		return err
	}
	require.Empty(t, parts.Diverged)
	a, b := metricsOf(t, alone.result.Run)[0].Values, metricsOf(t, parts.Run)[0].Values
	require.ElementsMatch(t, slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	maps.DeleteFunc(a, isLoad)
	for name, x := range a {
		if y := b[name]; x == x != (y == y) || math.Abs(x-y) > 1e-4*max(1, math.Abs(x)) {
			return fmt.Errorf("%w: %s is %g in the whole and %g in parts", errDiffers, name, x, y)
		}
	}
	return nil
}

func refusesBFloat16(t *testing.T, p *pairTable, with metro.Config, _ switched) error {
	_, err := p.runner.Open(t.Context(), "run", with)
	require.ErrorContains(t, err, "training.matmul=bfloat16 needs XLA")
	require.True(t, usererr.Is(err))
	if os.Getenv("METROLAB_TEST_LONG") == "" {
		return nil
	}
	for _, dtype := range []string{metro.ActivationsFloat32, metro.ActivationsBFloat16} {
		with.Training.Activations = dtype
		result, err := ownRunner(t, backendtest.XLA(t)).Run(t.Context(), "run", with, nil)
		require.Empty(t, result.Diverged)
		if err != nil {
			return err
		}
	}
	return nil
}

func exports(t *testing.T, p *pairTable, with metro.Config, alone switched) error {
	pretrained, err := training.LoadPretrained(alone.result.Run.Dir)
	if err != nil {
		return err
	}
	dir := filepath.Join(p.folder(t), "export")
	if _, err := pretrained.Export(dir); err != nil {
		return err
	}
	with.Training.InitFrom, with.Optimizer.LearningRate = dir, 0
	read, err := p.runner.Run(t.Context(), "run", with, nil)
	if err != nil {
		return err
	}
	if want, got := line(t, alone.result.Metrics), line(t, read.Metrics); want != got {
		return fmt.Errorf("%w: the run measured %s, and the folders %s", errDiffers, want, got)
	}
	return nil
}
