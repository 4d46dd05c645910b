// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// frozenBy are the assignments of a run against a generator that is read from dir and stands still.
func frozenBy(dir string, assignments ...string) []string {
	return append([]string{"replacements.source=frozen", "sharing=none", "replacements.checkpoint=" + dir}, assignments...)
}

// A frozen generator is the source's, whose tables may have been shared with its main model, and stays so while the main
// model learns. It has no loss and no moments.
func TestFrozenGenerator(t *testing.T) {
	for _, sharing := range []string{metro.SharingTokenPosition, metro.SharingGDES, metro.SharingAll, metro.SharingNone} {
		source := trained(t, "sharing="+sharing)
		old, _ := checkpointed(t, source.Run)
		result := trained(t, frozenBy(source.Run.Dir, "seed=4", "main.norm=pre", "main.ffn=40")...)
		weights, moments := checkpointed(t, result.Run)
		first, generators := fresh(t, result.Run), 0
		for name, v := range weights {
			rest, ok := strings.CutPrefix(name, "generator.")
			if !ok {
				require.NotEqual(t, first[name], v, "%s does not learn", name)
				continue
			}
			generators++
			require.NotContains(t, moments, "adamw.m."+name)
			want := old[name]
			for _, room := range []string{"shared.", "main."} {
				if want == nil {
					want = old[room+rest]
				}
			}
			require.Equal(t, want, v, "%s of a source that shares %s", name, sharing)
		}
		require.Equal(t, 2+2+1+6*2+2*2+3, generators) // tables, norm, bias table, dense maps, norms, plain head
		for name := range result.Metrics {
			require.NotEqual(t, "val_generator_loss", name)
		}
		require.Contains(t, result.Metrics, "val_generator_accuracy")
	}
}

// Stopped and gone on, a run against a frozen generator is the run that was not stopped; it needs the source's weights
// no more by then, only their hash.
func TestStoppedRunGoesOnExactlyAgainstAFrozenGenerator(t *testing.T) {
	source := trained(t)
	sameWhenStopped(t, backendtest.Go(t), assigned(t, frozenBy(source.Run.Dir, "training.steps=12", "training.checkpoint_every=5")...), 1, 5, 7)
}

// The temperature of each step is the schedule's: one that falls from T to 1 after the first step draws as T does in the
// first and as 1 does later. What a frozen generator's samples replace depends on nothing else.
func TestTemperatureReachesTheSamples(t *testing.T) {
	dir := trained(t).Run.Dir
	drawn := func(assignments ...string) (replaced []float64, held float64) {
		result := trained(t, append(frozenBy(dir, "training.log_every=1", "training.steps=5", "optimizer.warmup_steps=0", "masking.rate=0.5"), assignments...)...)
		for _, row := range metricsOf(t, result.Run) {
			replaced = append(replaced, row.Values["replaced_fraction"])
		}
		require.Len(t, replaced, 5)
		return replaced, result.Metrics["val_replaced_fraction"]
	}
	cold, coldHeld := drawn("replacements.temperature=0.001")
	warm, warmHeld := drawn("replacements.temperature=1")
	require.NotEqual(t, cold[0], warm[0])
	require.NotEqual(t, coldHeld, warmHeld)
	falling, held := drawn("replacements.temperature=0.001", "replacements.temperature_schedule=exponential", "replacements.temperature_decay=0.001")
	require.Equal(t, append(cold[:1:1], warm[1:]...), falling)
	require.Equal(t, warmHeld, held, "validation is at the last step's temperature")
}

// The dropout of a generator that stands still is on or off as the config says, while training alone. With it off in
// samples only, training builds other parts than validation.
func TestFrozenGeneratorDropout(t *testing.T) {
	dir := trained(t).Run.Dir
	run := func(assignments ...string) (training float64, held runs.Values) {
		assignments = append(frozenBy(dir, "training.steps=2", "training.log_every=1", "training.eval_every=1", "optimizer.warmup_steps=0", "generator.dropout=0.5"), assignments...)
		result := trained(t, assignments...)
		rows := metricsOf(t, result.Run)
		_, inTraining := rows[1].Values["generator_accuracy"]
		require.Equal(t, assigned(t, assignments...).Replacements.Dropout != metro.SampleEval, inTraining)
		return rows[0].Values["clm_loss"], result.Metrics // which depends on what was drawn
	}
	without, held := run("generator.dropout=0")
	with, _ := run("replacements.dropout=train")
	evaluated, heldEvaluated := run("replacements.dropout=eval")
	require.NotEqual(t, without, with)
	require.Equal(t, without, evaluated)
	require.Equal(t, held["val_replaced_fraction"], heldEvaluated["val_replaced_fraction"])
	require.Contains(t, heldEvaluated, "val_generator_accuracy")
}

func TestFrozenGeneratorErrors(t *testing.T) {
	source, mlm := trained(t), trained(t, "objective.name=mlm")
	require.Contains(t, refused(t, frozenBy(mlm.Run.Dir)...), mlm.Run.Dir+" has no generator; name the folder of a run that trained one")
	for assignment, want := range map[string]string{
		"generator.layers=2":            "generator.layers is 1 there and 2 in the config",
		"generator.heads=2":             "generator.heads is 4 there and 2 in the config",
		"embeddings.width=8":            "embeddings.width is 16 there and 8 in the config",
		"objective.generator_head=norm": "objective.generator_head is plain there and norm in the config",
		"data.seq_len=20":               "positions.rows is 16 there and 20 in the config",
	} {
		message := refused(t, frozenBy(source.Run.Dir, assignment)...)
		require.Contains(t, message, want)
		require.Contains(t, message, "replacements.checkpoint: "+source.Run.Dir)
	}
	harmCheckpoints("step-00000010")(t, source.Run.Dir)
	require.Contains(t, refused(t, frozenBy(source.Run.Dir)...), "damaged")
}

// A run from before the config had all its fields is told from a folder that is no run.
func TestLoadPretrainedOfAnOlderVersion(t *testing.T) {
	dir := trained(t).Run.Dir
	path := filepath.Join(dir, runs.ConfigFile)
	var document map[string]any
	require.NoError(t, runs.ReadJSON(path, &document))
	config := document["config"].(map[string]any)
	delete(document, "components")
	for _, room := range []string{"embeddings", "masking", "replacements"} {
		delete(config, room)
	}
	config["objective"].(map[string]any)["mask_rate"] = 0.15
	require.NoError(t, runs.WriteJSON(path, document))
	for _, load := range []func() error{
		func() error { _, err := training.LoadPretrained(dir); return err },
		func() error {
			_, err := runner(t, backendtest.Go(t)).Run(t.Context(), "run", assigned(t, "training.init_from="+dir), nil)
			return err
		},
	} {
		require.ErrorContains(t, load(), path+" was written by an older version of metrolab, whose models this one does not read; train it again")
	}
	entries, err := os.ReadDir(filepath.Join(dir, runs.CheckpointsDir))
	require.NoError(t, err)
	require.NotEmpty(t, entries, "nothing of the older run is lost")
}
