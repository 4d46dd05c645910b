// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/corruptions"
	"metrolab/metro/training"
)

// drawnFor draws the corruptions of a config by the generator of a run.
func drawnFor(t *testing.T, be compute.Backend, source string, c metro.Config) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "corruptions")
	about, err := runner(t, be).Corrupt(t.Context(), source, c, dir, 0, nil)
	require.NoError(t, err)
	require.Equal(t, c.Training.Steps*c.Training.BatchSize+c.Evaluation.Rows, about.Rows())
	return dir
}

func storedBy(dir string, assignments ...string) []string {
	return append([]string{"replacements.source=stored", "sharing=none", "replacements.checkpoint=" + dir}, assignments...)
}

// Steps on what was drawn before are the steps against the frozen generator that drew it: to the bit in pure Go; and on XLA, whose
// program of a step is another with the generator in it, to rounding.
func TestStoredEqualsFrozen(t *testing.T) {
	falling := []string{"replacements.temperature=2", "replacements.temperature_schedule=exponential", "replacements.temperature_decay=0.3"}
	for name, settings := range map[string][]string{
		"falling temperature": falling,
		"masks fall, spans":   {"masking.final_rate=0.05", "masking.pattern=span", "masking.rule=80/10/10"},
		"never the original":  {"replacements.disallow_correct=true", "masking.with_replacement=true"},
		"dropout in samples":  {"generator.dropout=0.3", "replacements.dropout=train"},
		"in parts":            {"training.accumulate=2", "training.batch_size=8", "generator.dropout=0.3", "replacements.dropout=train"},
		"contrast":            {"objective.name=rtd_clm_scl"},
		"within documents":    {"positions.within_documents=true"},
	} {
		t.Run(name, func(t *testing.T) {
			be := backendtest.Go(t)
			source := trained(t).Run.Dir
			frozen := trained(t, frozenBy(source, append(settings, "training.steps=12")...)...)
			with := assigned(t, frozenBy(source, append(settings, "training.steps=12")...)...)
			stored := with
			stored.Replacements.Source, stored.Replacements.Checkpoint = metro.SourceStored, drawnFor(t, be, source, with)
			result, err := runner(t, be).Run(t.Context(), "stored", stored, nil)
			require.NoError(t, err)
			sameMainModel(t, frozen, result, 0)
		})
	}
	t.Run("xla", func(t *testing.T) {
		be := backendtest.XLA(t)
		source := trained(t).Run.Dir
		with := assigned(t, frozenBy(source, append(falling, "training.steps=12")...)...)
		frozen, err := runner(t, be).Run(t.Context(), "frozen", with, nil)
		require.NoError(t, err)
		stored := with
		stored.Replacements.Source, stored.Replacements.Checkpoint = metro.SourceStored, drawnFor(t, be, source, with)
		result, err := runner(t, be).Run(t.Context(), "stored", stored, nil)
		require.NoError(t, err)
		sameMainModel(t, frozen, result, 1e-5)
	})
}

// sameMainModel compares what two runs have measured and the weights of their main models.
func sameMainModel(t *testing.T, frozen, stored training.Result, within float64) {
	t.Helper()
	a, b := maps.Clone(frozen.Metrics), stored.Metrics
	for name, value := range a {
		if !strings.Contains(name, "generator") {
			require.InDelta(t, value, b[name], within, name)
		}
	}
	require.Contains(t, b, "val_rtd_auc")
	old, _ := checkpointed(t, frozen.Run)
	now, moments := checkpointed(t, stored.Run)
	compared := 0
	for name, want := range old {
		if strings.HasPrefix(name, "generator.") {
			require.NotContains(t, now, name, "nothing of the generator is in the step")
			continue
		}
		compared++
		require.InDeltaSlice(t, want, now[name], within, name)
	}
	require.Len(t, now, compared)
	require.NotEmpty(t, moments)
	rows, others := metricsOf(t, frozen.Run), metricsOf(t, stored.Run)
	require.Len(t, others, len(rows))
	for i, row := range rows {
		require.InDelta(t, row.Values["replaced_fraction"], others[i].Values["replaced_fraction"], within, "step %d", row.Step)
		require.InDelta(t, row.Values["loss"], others[i].Values["loss"], max(within, 100*within), "step %d", row.Step)
	}
}

// A run on corruptions goes on to the bit in the middle of a shard, and reads the beginning of them if it is shorter.
func TestStoppedRunGoesOnExactlyOnCorruptions(t *testing.T) {
	source := trained(t).Run.Dir
	dir := drawnFor(t, backendtest.Go(t), source, assigned(t, "training.steps=12"))
	sameWhenStopped(t, backendtest.Go(t), assigned(t, storedBy(dir, "training.steps=12", "training.checkpoint_every=5")...), 1, 5, 7)
	require.Equal(t, 8, trained(t, storedBy(dir, "training.steps=8", "optimizer.warmup_steps=2")...).Steps)
}

// Drawing that was stopped goes on behind its last whole shard, and ends in the same bytes; the weights of the generator are as
// before.
func TestCorruptGoesOn(t *testing.T) {
	r, source := runner(t, backendtest.Go(t)), trained(t).Run
	before, _ := checkpointed(t, source)
	c := assigned(t, "training.steps=100")
	whole := drawnFor(t, backendtest.Go(t), source.Dir, c)
	dir := filepath.Join(t.TempDir(), "stopped")
	for stops := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := r.Corrupt(ctx, source.Dir, c, dir, 0, func(done, total int) {
			if done > (stops+1)*total/5 {
				cancel()
			}
		})
		cancel()
		require.ErrorIs(t, err, training.ErrInterrupted)
		require.ErrorContains(t, refusedOn(t, storedBy(dir)...), "rows; give the metro corrupt command again, which goes on")
	}
	damage(t, filepath.Join(dir, "00001.rows"))
	_, err := r.Corrupt(t.Context(), source.Dir, c, dir, 0, nil)
	require.NoError(t, err)
	require.Equal(t, contents(t, whole), contents(t, dir))
	after, _ := checkpointed(t, source)
	require.Equal(t, before, after)
}

// damage flips a bit in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	raw[len(raw)/2] ^= 4
	require.NoError(t, os.WriteFile(path, raw, 0o666))
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := map[string]string{}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(raw)
	}
	return files
}

func refusedOn(t *testing.T, assignments ...string) error {
	t.Helper()
	_, err := runner(t, backendtest.Go(t)).Run(t.Context(), "refused", assigned(t, assignments...), nil)
	require.True(t, usererr.Is(err), "%v", err)
	return err
}

// What a run on corruptions reads must be what they were made for.
func TestCorruptionsOfOtherRowsAreRefused(t *testing.T) {
	be, source := backendtest.Go(t), trained(t).Run.Dir
	c := assigned(t, "training.steps=10")
	dir := drawnFor(t, be, source, c)
	for assignment, want := range map[string]string{
		"seed=9":                            "were made with seed=",
		"training.steps=11":                 "are for 10 steps, and training.steps is 11",
		"training.batch_size=4":             "were made with training.batch_size=",
		"masking.rate=0.4":                  "were made with masking.rate=",
		"masking.pattern=span":              "were made with masking.pattern=its neutral value, and the run has span",
		"evaluation.rows=8":                 "were made with evaluation.rows=",
		"replacements.checkpoint=" + source: "holds no corruptions: there is no corruptions.json in it; metro corrupt writes such a folder",
	} {
		path, _, _ := strings.Cut(assignment, "=")
		settings := storedBy(dir)
		if path == "replacements.checkpoint" {
			settings = settings[:2]
		}
		if path != "training.steps" {
			settings = append(settings, "training.steps=10")
		}
		require.ErrorContains(t, refusedOn(t, append(settings, assignment)...), want)
	}
	_, err := runner(t, be).Corrupt(t.Context(), source, assigned(t, "training.steps=10", "replacements.temperature=2"), dir, 0, nil)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "holds other corruptions: replacements.temperature is not set there, and 2 here; write to another folder")
	_, err = runner(t, be).Corrupt(t.Context(), source, assigned(t, "objective.name=mlm"), filepath.Join(t.TempDir(), "x"), 0, nil)
	require.ErrorContains(t, err, "there is nothing to draw: objective.name=mlm replaces no tokens")
	damage(t, filepath.Join(dir, "00000.rows"))
	require.ErrorContains(t, refusedOn(t, storedBy(dir, "training.steps=10")...), "are damaged: the SHA-256 of")
}

// A main model that was trained by masked language modelling draws too, and at T = 1 all schedules draw alike.
func TestCorruptBySchedulesAndLanguageModels(t *testing.T) {
	be := backendtest.Go(t)
	mlm := trained(t, "objective.name=mlm").Run.Dir
	about, err := corruptions.Look(drawnFor(t, be, mlm, assigned(t)))
	require.NoError(t, err)
	require.Positive(t, about.Bytes)
	first, source := map[string]string(nil), trained(t).Run.Dir
	for _, schedule := range []string{"constant", "linear", "polynomial", "exponential"} {
		files := contents(t, drawnFor(t, be, source, assigned(t, "replacements.temperature=1", "replacements.temperature_schedule="+schedule)))
		delete(files, "corruptions.json")
		if first == nil {
			first = files
		}
		require.Equal(t, first, files, schedule)
	}
}

// Logits that were kept draw what their generator does: all of them nearly every sample alike, at any temperature, since only their
// rounding is lost; and too few of them are refused, with how much is lost.
func TestLogitsDraw(t *testing.T) {
	be, source := backendtest.Go(t), trained(t).Run.Dir
	r, c := runner(t, be), assigned(t, "training.steps=40", "masking.rate=0.5")
	keep := func(top int) (string, error) {
		dir := filepath.Join(t.TempDir(), "logits")
		_, err := r.Corrupt(t.Context(), source, c, dir, top, nil)
		return dir, err
	}
	p, err := training.LoadPretrained(source)
	require.NoError(t, err)
	logits, err := keep(p.Model.Vocab)
	require.NoError(t, err)
	about, err := corruptions.Look(logits)
	require.NoError(t, err)
	for temperature, lost := range about.Loss {
		require.Less(t, lost, 1e-5, temperature)
	}
	for _, settings := range [][]string{
		{"replacements.temperature=2", "replacements.temperature_schedule=linear"}, {"replacements.temperature=0.6"}, {"replacements.disallow_correct=true"},
	} {
		with := c
		for _, a := range settings {
			require.NoError(t, with.Set(a))
		}
		direct, kept := drawnFor(t, be, source, with), drawnFor(t, be, logits, with)
		same, all := 0, 0
		for name, want := range contents(t, direct) {
			if strings.HasSuffix(name, ".rows") {
				got := contents(t, kept)[name]
				for i := 0; i < len(want); i += 4 {
					all++
					if want[i:i+4] == got[i:i+4] {
						same++
					}
				}
			}
		}
		require.Greater(t, float64(same)/float64(all), 0.99, settings)
		require.ErrorContains(t, refusedOn(t, storedBy(logits, "training.steps=40", "masking.rate=0.5")...), "holds logits, from which nothing is drawn yet")
	}
	_, err = keep(4)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "at temperature 1 the logits that were kept are")
	require.ErrorContains(t, err, "keep more of them (--top)")
	for settings, want := range map[string]string{
		"replacements.temperature=5": "draw at temperatures from 0.5 to 4, not at 5",
		"seed=77":                    "were made with seed=",
	} {
		with := c
		require.NoError(t, with.Set(settings))
		_, err := r.Corrupt(t.Context(), logits, with, filepath.Join(t.TempDir(), "x"), 0, nil)
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, want)
	}
	drawn := drawnFor(t, be, logits, c)
	_, err = r.Corrupt(t.Context(), drawn, c, filepath.Join(t.TempDir(), "x"), 0, nil)
	require.ErrorContains(t, err, "holds samples, which were drawn already")
	_, err = r.Corrupt(t.Context(), logits, c, filepath.Join(t.TempDir(), "x"), 9, nil)
	require.ErrorContains(t, err, "others are kept of a trained model")
}

// At a very high temperature every token is drawn alike.
func TestHighTemperatureIsUniform(t *testing.T) {
	source := trained(t).Run.Dir
	dir := drawnFor(t, backendtest.Go(t), source, assigned(t, "training.steps=200", "masking.rate=0.5", "replacements.temperature=10000"))
	about, err := corruptions.Look(dir)
	require.NoError(t, err)
	counts, all := make([]float64, about.Vocab), 0.0
	for name, rows := range contents(t, dir) {
		for i := 0; strings.HasSuffix(name, ".rows") && i < len(rows); i += 4 {
			if rows[i] != 255 || rows[i+1] != 255 { // a slot that is in use
				counts[int(rows[i+2])|int(rows[i+3])<<8]++
				all++
			}
		}
	}
	chi := 0.0
	for _, n := range counts {
		chi += (n - all/float64(len(counts))) * (n - all/float64(len(counts))) / (all / float64(len(counts)))
	}
	low, high := distuv.ChiSquared{K: float64(len(counts) - 1)}.Quantile(1e-4), distuv.ChiSquared{K: float64(len(counts) - 1)}.Quantile(1-1e-4)
	require.True(t, low < chi && chi < high, "χ² %g of %d tokens, %g draws", chi, len(counts), all)
}
