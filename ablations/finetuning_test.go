// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// labelled is a file of texts to be told apart by their verb.
func labelled(t *testing.T) string {
	t.Helper()
	var lines strings.Builder
	for i := range 120 {
		fmt.Fprintf(&lines, "{\"text\": \"caller %d %s for locks\", \"label\": %d}\n", i, []string{"waits", "holds"}[i%2], i%2)
	}
	path := filepath.Join(t.TempDir(), "verbs.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(lines.String()), 0o600))
	return path
}

// tuned is a study that is decided on a fine-tuning: one arm changes the pretraining, one the fine-tuning alone.
func tuned(t *testing.T) Study {
	t.Helper()
	s := small()
	s.narrow()
	s.Seeds = []int64{3, 4}
	s.Outcome = OutcomeOf("test_balanced_accuracy")
	s.Finetune = &Finetuning{Task: labelled(t), Steps: 4, Set: []string{"training.batch_size=8"}}
	s.Changes = []Change{
		{Name: "no bias", Set: []string{"positions.relative=none"}},
		{Name: "layer decay", Set: []string{"finetune.optimizer.layer_decay=0.5"}},
	}
	return s
}

// A fine-tuning's number decides a study, its settings are an arm that trains no model anew, and the folder is enough to read
// the results again.
func TestAFinetuningDecides(t *testing.T) {
	s, runner := tuned(t), lab(t)
	results, err := s.Run(t.Context(), runner, 2, nil)
	require.NoError(t, err)
	require.Equal(t, 6, results.Ended())
	byArm := map[string][]Run{}
	for _, run := range results.Runs {
		require.Contains(t, run.Result.Metrics, "test_balanced_accuracy")
		require.Contains(t, run.Result.Metrics, "frozen_auc_unigram", "what pretraining measured is there too")
		require.NotEmpty(t, run.Tuned)
		byArm[run.Arm] = append(byArm[run.Arm], run)
	}
	for i, baseline := range byArm[BaselineName] {
		decay := byArm["layer decay"][i]
		require.Equal(t, baseline.ID, decay.ID, "one model serves both")
		require.NotEqual(t, baseline.Tuned, decay.Tuned)
		require.NotEqual(t, baseline.ID, byArm["no bias"][i].ID)
	}
	dir := filepath.Join(runner.Store.Root, "tuned")
	_, err = results.Write(dir)
	require.NoError(t, err)
	loaded, err := Open(dir)
	require.NoError(t, err)
	require.Equal(t, results.Table().Rows, loaded.Table().Rows)
	require.NoError(t, s.Fits(dir))
	other := s
	other.Finetune = &Finetuning{Task: s.Finetune.Task, Steps: 5}
	require.ErrorContains(t, other.Fits(dir), "another study")

	// A fine-tuning that has not ended leaves its run unended.
	tune, err := runner.Store.Open(loaded.Runs[0].Tuned)
	require.NoError(t, err)
	require.NoError(t, os.Remove(tune.Path(runs.ResultFile)))
	loaded, err = Open(dir)
	require.NoError(t, err)
	require.Equal(t, 5, loaded.Ended())
}

// Two shards of a study with a fine-tuning lose nothing of one another, whichever writes study.json last: what a fine-tuning is
// lies in a file of its own.
func TestShardsOfAFinetuning(t *testing.T) {
	s, first := tuned(t), lab(t)
	whole, err := s.Run(t.Context(), first, 1, nil)
	require.NoError(t, err)
	results := inShares(t, s, first, []Share{{Jobs: 1, Shard: Shard{1, 2}}, {Jobs: 1, Shard: Shard{2, 2}}})
	require.Equal(t, whole.Table().Rows, results.Table().Rows)
	require.Equal(t, 6, results.Ended())

	// The first shard wrote the plan before the second had trained anything, and now writes it once more.
	dir, late := results.Folder(), results.Plan()
	late.Runs = slices.Clone(late.Runs)
	for i := range late.Runs {
		if i%2 == 1 {
			late.Runs[i].Tuned = ""
		}
	}
	require.NoError(t, runs.WriteJSON(filepath.Join(dir, PlanFile), late))
	found, err := Open(dir)
	require.NoError(t, err)
	require.Empty(t, found.Problems)
	require.Equal(t, whole.Table().Rows, found.Table().Rows)

	moved := filepath.Join(t.TempDir(), "moved")
	require.NoError(t, os.Rename(results.Store.Root, moved))
	require.NoError(t, os.Rename(filepath.Join(moved, s.Name), filepath.Join(moved, "renamed")))
	found, err = Open(filepath.Join(moved, "renamed"))
	require.NoError(t, err)
	require.Equal(t, 6, found.Ended(), "wherever the folder lies")
}

func TestFinetuningErrors(t *testing.T) {
	s := tuned(t)
	s.Finetune = nil
	_, err := s.Arms()
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, `arm "layer decay": finetune.optimizer.layer_decay=0.5 is a setting of a fine-tuning, and the study has none`)

	s = tuned(t)
	s.Finetune.Task = filepath.Join(t.TempDir(), "absent.jsonl")
	_, err = s.Run(t.Context(), lab(t), 1, nil)
	require.True(t, usererr.Is(err), "%v", err)
}

// A change that has no effect under the rest of the config is no arm, whatever the fields hold.
func TestAnArmThatHasNoEffectIsRefused(t *testing.T) {
	for _, assignment := range []string{"replacements.temperature_decay=0.3", "training.keep_checkpoints=7", "objective.scl_weight=3"} {
		s := small()
		s.Changes = []Change{{Name: "idle", Set: []string{assignment}}}
		_, err := s.Arms()
		require.True(t, usererr.Is(err), "%s: %v", assignment, err)
		require.ErrorContains(t, err, "changes nothing", assignment)
	}
}

// Pairs whose runs were made by unlike machines are named by the report, whichever attempt it was.
func TestUnlikeMachinesAreNamed(t *testing.T) {
	s, runner := small(), lab(t)
	results, err := s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	unlike, problems := results.unlikePairs()
	require.Empty(t, problems)
	require.Empty(t, unlike)

	run, err := runner.Store.Open(results.Runs[1].ID)
	require.NoError(t, err)
	attempts, err := run.Attempts()
	require.NoError(t, err)
	require.Len(t, attempts, 1)
	attempts[0].Environment = map[string]string{"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
	require.NoError(t, runs.WriteJSON(filepath.Join(run.Dir, "attempts", "000001", runs.ProvenanceFile), attempts[0]))
	unlike, problems = results.unlikePairs()
	require.Empty(t, problems)
	require.Equal(t, fmt.Sprintf("%s, seed %d: XLA_FLAGS is --xla_cpu_max_isa=AVX2 and the baseline's ", results.Runs[1].Arm, results.Runs[1].Seed), unlike)
	page, err := results.Report()
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(page.Provenance), "unlike machines")

	// A run that was begun in one way and gone on with in another is named whatever its baseline was, and so is a baseline.
	baseline, err := runner.Store.Open(results.Runs[0].ID)
	require.NoError(t, err)
	lease, err := baseline.Acquire()
	require.NoError(t, err)
	require.NoError(t, lease.WriteAttemptJSON(runs.ProvenanceFile, attempts[0]))
	require.NoError(t, lease.Release())
	unlike, problems = results.unlikePairs()
	require.Empty(t, problems)
	seed := results.Runs[0].Seed
	require.Contains(t, unlike, fmt.Sprintf("baseline, seed %d: XLA_FLAGS was unset and then --xla_cpu_max_isa=AVX2; ", seed))
	require.Contains(t, unlike, fmt.Sprintf("%s, seed %d: XLA_FLAGS is --xla_cpu_max_isa=AVX2 and the baseline's unset and then --xla_cpu_max_isa=AVX2", results.Runs[1].Arm, seed))
	page, err = results.Report()
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(page.Provenance), "XLA_FLAGS=--xla_cpu_max_isa=AVX2")
}
