// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Metrics that come and go together.
const (
	always     = "loss"
	generator  = " generator_loss"
	guess      = " generator_accuracy generator_entropy"
	corrupted  = " replaced_fraction"
	rtdLoss    = " rtd_loss"
	rtd        = " rtd_precision rtd_recall_replaced rtd_recall_original rtd_auc"
	clm        = " clm_loss clm_accuracy_replaced clm_accuracy_unchanged"
	lm         = " lm_loss lm_accuracy_replaced lm_accuracy_unchanged"
	joint      = always + generator + guess + corrupted
	everything = joint + rtdLoss + rtd + clm
	early      = " frozen_ece frozen_ece_1 frozen_early_auc_90 frozen_early_depth_90 frozen_early_depth_replaced_90 frozen_early_depth_original_90" +
		" frozen_early_auc_95 frozen_early_depth_95 frozen_early_depth_replaced_95 frozen_early_depth_original_95" +
		" frozen_early_auc_99 frozen_early_depth_99 frozen_early_depth_replaced_99 frozen_early_depth_original_99"
	second = " second_rtd_loss second_clm_loss corrected_accuracy second_replaced_fraction second_rtd_precision second_rtd_recall_replaced second_rtd_recall_original" +
		" second_clm_accuracy_replaced second_clm_accuracy_unchanged"
)

func init() {
	// Of all tokens, the part that is padding.
	metro.RegisterMetric("test_padding", 3, func(p *metro.Pass) (sum, count *Node) {
		real := ConvertDType(p.NonPad, p.Loss.DType())
		return ReduceAllSum(OneMinus(real)), ReduceAllSum(OnesLike(real))
	})
	metro.RegisterSource("test_constant", 2, func(p *metro.Pass) *Node {
		slots := p.Batch.Positions.Shape()
		return Zeros(p.Batch.Positions.Graph(), shapes.Make(dtypes.Float32, slots.Dim(0), slots.Dim(1), p.Model.Vocab))
	})
}

// Each objective, source and pattern runs from end to end, and records the numbers that it has and no others.
func TestPartsRun(t *testing.T) {
	for name, test := range map[string]struct {
		assignments []string
		metrics     string
	}{
		"the recipe":         {nil, everything},
		"mlm":                {[]string{"objective.name=mlm"}, always + " lm_loss lm_accuracy"},
		"replace_mlm":        {[]string{"objective.name=replace_mlm"}, joint + lm},
		"rtd":                {[]string{"objective.name=rtd"}, joint + rtdLoss + rtd},
		"rtd_masked":         {[]string{"objective.name=rtd_masked"}, joint + rtdLoss + rtd},
		"all_token_lm":       {[]string{"objective.name=all_token_lm"}, joint + rtd + lm},
		"rtd_clm_exits":      {[]string{"objective.name=rtd_clm_exits", "main.layers=2"}, everything + " early_rtd_loss " + early},
		"rtd_clm_scl":        {[]string{"objective.name=rtd_clm_scl"}, everything + " scl_loss"},
		"rtd_clm_mist":       {[]string{"objective.name=rtd_clm_mist", "objective.options.threshold=0.1"}, everything + second},
		"mist, mixed":        {[]string{"objective.name=rtd_clm_mist", "objective.options.form=mix", "positions.rows=32", "objective.options.targets=shuffled"}, everything + second},
		"clm without copy":   {[]string{"objective.clm=without_copy"}, joint + clm},
		"clm mixture":        {[]string{"objective.clm=mixture"}, everything},
		"unigram":            {[]string{"replacements.source=unigram"}, always + corrupted + rtdLoss + rtd + clm},
		"uniform":            {[]string{"replacements.source=uniform", "objective.name=rtd"}, always + corrupted + rtdLoss + rtd},
		"unigram, mlm":       {[]string{"replacements.source=unigram", "objective.name=mlm"}, always + " lm_loss lm_accuracy"},
		"disallow_correct":   {[]string{"replacements.disallow_correct=true"}, everything},
		"whole words":        {[]string{"masking.pattern=whole_word", "masking.rule=80/10/10"}, everything},
		"spans":              {[]string{"masking.pattern=span", "masking.rule=85/15/0"}, everything},
		"collisions":         {[]string{"masking.with_replacement=true", "masking.electra_collisions=true", "masking.rate=0.4"}, everything},
		"first sample":       {[]string{"masking.with_replacement=true", "masking.rate=0.4"}, everything},
		"own pass samples":   {[]string{"generator.dropout=0.1", "replacements.dropout=eval"}, everything},
		"electra's Adam":     {[]string{"optimizer.schedule=warmup_times_decay", "optimizer.bias_correction=false", "optimizer.layer_decay=0.8", "optimizer.layer_decay_rule=electra"}, everything},
		"a metric of one's":  {[]string{"evaluation.metrics=test_padding"}, everything + " test_padding"},
		"a metric, in parts": {[]string{"evaluation.metrics=test_padding", "training.accumulate=2"}, everything + " test_padding"},
	} {
		t.Run(name, func(t *testing.T) {
			result := trained(t, test.assignments...)
			rows := metricsOf(t, result.Run)
			require.Len(t, rows, 1)
			want := []string{"learning_rate", "gradient_norm", "tokens", "frozen_auc_unigram", "frozen_auc_bigram", "frozen_auc_trigram", "frozen_auc_words"}
			for metric := range strings.FieldsSeq(test.metrics) {
				want = append(want, metric)
				if !strings.HasPrefix(metric, "frozen_") {
					want = append(want, "val_"+metric)
				}
			}
			require.ElementsMatch(t, want, slices.Collect(maps.Keys(rows[0].Values)))
			for metric, value := range rows[0].Values {
				// A rate over nothing is NaN, which among so few tokens happens to these.
				if !strings.Contains(metric, "_unchanged") && !strings.Contains(metric, "_precision") {
					require.False(t, value != value, metric)
				}
			}
			check := rows[0].Values
			require.True(t, check["frozen_auc_bigram"] > 0 && check["frozen_auc_bigram"] < 1)
			if name == "disallow_correct" {
				require.NotEqual(t, check["clm_accuracy_unchanged"], check["clm_accuracy_unchanged"], "there is no unchanged position")
			}
			if metric, ok := check["test_padding"]; ok {
				real := check["tokens"] / float64(10*8*16) // steps, rows, columns
				require.InDelta(t, 1-real, metric, 1e-6)
			}
		})
	}
}

// The parts that a config names are in config.json with their versions, and another version is another run.
func TestComponentsAreInTheIdentity(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	identify := func(assignments ...string) (run *runs.Run, identity training.RunIdentity) {
		job, err := r.Open(t.Context(), "run", assigned(t, assignments...))
		require.NoError(t, err)
		run = job.Run
		require.NoError(t, runs.ReadJSON(run.Path(runs.ConfigFile), &identity))
		return run, identity
	}
	plain, identity := identify()
	require.Equal(t, map[string]int{"objective/rtd_clm": 1, "source/joint": 1}, identity.Components)
	own, identity := identify("evaluation.metrics=test_padding", "replacements.source=test_constant")
	require.Equal(t, map[string]int{"objective/rtd_clm": 1, "source/test_constant": 2, "metric/test_padding": 3}, identity.Components)
	require.NotEqual(t, plain.ID, own.ID)

	id, err := runs.ID("run", identity.Key())
	require.NoError(t, err)
	require.Equal(t, own.ID, id)
	identity.Components["source/test_constant"]++
	newer, err := runs.ID("run", identity.Key())
	require.NoError(t, err)
	require.NotEqual(t, own.ID, newer)
}

// A source from outside runs like one from inside.
func TestOwnSourceRuns(t *testing.T) {
	result := trained(t, "replacements.source=test_constant", "objective.name=rtd")
	require.NotContains(t, result.Metrics, "val_generator_loss")
	require.Greater(t, result.Metrics["val_replaced_fraction"], 0.05)
}

// bfloat16 is not for pure Go, and the sentence says what is.
func TestBFloat16WantsXLA(t *testing.T) {
	r := runner(t, backendtest.Go(t))
	_, err := r.Run(t.Context(), "run", assigned(t, "training.matmul=bfloat16"), nil)
	require.EqualError(t, err, "training.matmul=bfloat16 needs XLA; the pure-Go backend multiplies in float32 only")
	require.True(t, usererr.Is(err))
	entries, err := os.ReadDir(r.Store.Root)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// An objective's own head trains, is kept, and is no stranger to whoever reads the run: the encoder can be restored, and
// another run of the objective begins with the head as well.
func TestOwnHeadRuns(t *testing.T) {
	be := backendtest.Go(t)
	result := trained(t, "objective.name=test_layer_mix", "optimizer.layer_decay=0.8")
	require.Contains(t, result.Metrics, "val_mix_loss")
	weights, moments := checkpointed(t, result.Run)
	first := fresh(t, result.Run)
	require.Len(t, moments, 2*len(weights))
	for _, name := range []string{"output.weights", "output.bias", "scale", "shift"} {
		require.NotEqual(t, first["main.layer_mix."+name], weights["main.layer_mix."+name], name)
	}
	p, err := training.LoadPretrained(result.Run.Dir)
	require.NoError(t, err)
	store, err := training.InitialVariables(be, metro.Model{Config: assigned(t), Vocab: p.Model.Vocab})
	require.NoError(t, err)
	require.NoError(t, p.Restore(store))
	require.Equal(t, weights["shared.token_embedding"], values(t, store)["/shared/token_embedding"])

	next := trained(t, still(result.Run.Dir, "objective.name=test_layer_mix", "seed=4")...)
	again, _ := checkpointed(t, next.Run)
	require.Equal(t, weights, again)
}
