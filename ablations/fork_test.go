// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// forked is small with arms that leave the baseline's run after step 3, which its cadence keeps no checkpoint of.
func forked() Study {
	s := small()
	s.Name, s.Fork = "forked", &Fork{Step: 3}
	s.Baseline.Training.CheckpointEvery = 6
	s.narrow()
	s.Changes[1] = Change{"heavier RTD", []string{"objective.rtd_weight=100"}}
	return s
}

// The arms of a forked study go on from the baseline's run at their seed, which is trained once. Stopped in the middle and
// gone on with by two workers, it ends with the table of a study that nothing happened to, and so it does where a baseline has ended
// without the checkpoint.
func TestForkedStudy(t *testing.T) {
	s, runner := forked(), lab(t)
	whole, err := s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	require.Equal(t, 6, whole.Ended())
	shared := map[string]string{}
	for _, run := range whole.Runs {
		require.DirExists(t, filepath.Join(runner.Store.Root, run.ID))
		dir, err := runner.Store.Open(run.ID)
		require.NoError(t, err)
		rows, err := dir.ReadMetrics()
		require.NoError(t, err)
		require.Len(t, rows, 2)
		first, err := runs.Hash(rows[0])
		require.NoError(t, err)
		if run.Arm == BaselineName {
			shared[first] = run.ID
			require.Zero(t, run.Result.Before)
			continue
		}
		require.Contains(t, shared, first, "step 3 is the baseline's, with its times")
		identity, err := training.ReadIdentity(dir.Dir)
		require.NoError(t, err)
		require.Equal(t, shared[first]+"@3", identity.Config.Training.Fork)
		require.Positive(t, run.Result.Before)
	}
	require.Len(t, shared, 2)
	page, err := whole.Report()
	require.NoError(t, err)
	require.Contains(t, strings.Join(page.Notes, " "), "an effect from step 4 on")

	again := runner.Anew()
	again.Corpus, again.Store = runner.Corpus, runs.Store{Root: filepath.Join(t.TempDir(), "runs")}
	for _, seed := range s.Seeds[1:] { // it has ended before anybody thought of a fork
		_, err := again.Run(t.Context(), s.Recipe, seeded(s.Baseline, seed), nil)
		require.NoError(t, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	_, err = s.Run(ctx, again, 2, func(e Event) {
		if e.Arm != BaselineName && e.Progress.Step > 4 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	opened, err := Open(filepath.Join(again.Store.Root, s.Name))
	require.NoError(t, err)
	require.Less(t, opened.Ended(), 6)
	resumed, err := s.Run(t.Context(), again, 2, nil)
	require.NoError(t, err)
	require.Equal(t, 6, resumed.Ended())
	for i, run := range resumed.Runs {
		require.Equal(t, whole.Runs[i].ID, run.ID)
		require.True(t, sameNumbers(whole.Runs[i], run), run.ID)
	}
	opened, err = Open(filepath.Join(again.Store.Root, s.Name))
	require.NoError(t, err)
	require.Equal(t, 6, opened.Ended())
}

// What a forked study's arms cost is what they did themselves: tokens, operations and times of the trunk are the baseline's. The
// operations to a target are those of the trunk, as the baseline computes them, and then the arm's own.
func TestForksAreChargedTheirOwnSteps(t *testing.T) {
	s := forked()
	s.Seeds = s.Seeds[:1]
	s.Changes = []Change{{"more masks", []string{"masking.rate=0.3"}}}
	arms, err := s.Arms()
	require.NoError(t, err)
	r := Results{Study: s, Arms: arms, Runs: []Run{{Arm: BaselineName, Seed: 3, Ended: true}, {Arm: "more masks", Seed: 3, Ended: true}}}
	r.Runs[0].Result = training.Result{Steps: 6, Seconds: 60, Usage: training.Usage{ProcessorSeconds: 120}}
	r.Runs[1].Result = training.Result{Steps: 6, Seconds: 50, Before: 30, Usage: training.Usage{ProcessorSeconds: 90}, ProcessorBefore: 60}
	costs := r.CostTable()
	require.Equal(t, []string{"arm", "RTD AUC", "runs", "steps", "Mtokens", "TFLOP", "minutes", "processor minutes"}, names(costs.Columns))
	own, err := costOf(arms[1].Config, MatchFLOPs)
	require.NoError(t, err)
	trunk, err := costOf(s.Baseline, MatchFLOPs)
	require.NoError(t, err)
	require.NotEqual(t, own, trunk)
	row := costs.Rows[1]
	require.Equal(t, []any{3.0, 1e-6 * 3 * 8 * 16}, row[3:5])
	require.InEpsilon(t, 1e-12*3*own, row[5], 1e-9)
	require.InDeltaSlice(t, []float64{20. / 60, 30. / 60}, []float64{row[6].(float64), row[7].(float64)}, 1e-9)
	require.Equal(t, 1.0, costs.Rows[0][6], "the baseline pays for the trunk")
	table := r.RunTable()
	at := slices.Index(names(table.Columns), "shared_steps")
	require.Equal(t, []any{6, 0, 60.0}, table.Rows[0][at-1:at+2])
	require.Equal(t, []any{6, 3, 20.0}, table.Rows[1][at-1:at+2])

	for steps, want := range map[float64]float64{2: 2 * trunk, 3: 3 * trunk, 5: 3*trunk + 2*own} {
		got, err := s.spent(MatchFLOPs, "more masks", arms[1].Config, steps)
		require.NoError(t, err)
		require.InEpsilon(t, want, got, 1e-12)
	}
}

// A trunk that diverges before its arms have left it ends them too: they are in the table, and the study is complete.
func TestForksOfATrunkThatDiverged(t *testing.T) {
	s, runner := forked(), lab(t)
	s.Seeds, s.Changes = s.Seeds[:1], s.Changes[1:]
	s.Baseline.Optimizer.LearningRate, s.Baseline.Optimizer.WeightDecay, s.Baseline.Optimizer.WarmupSteps = 10, 10, 0
	s.Baseline.Training.Steps, s.Fork.Step = 40, 39
	for range 2 { // the second time, all is found
		results, err := s.Run(t.Context(), runner, 1, nil)
		require.NoError(t, err)
		require.True(t, results.Complete())
		require.Equal(t, results.Runs[0].Result.Diverged, results.Runs[1].Result.Diverged)
		require.Contains(t, results.Runs[1].Result.Diverged, "diverged at step")
		require.Equal(t, "diverged", results.Runs[1].state())
		require.NoDirExists(t, filepath.Join(runner.Store.Root, results.Runs[1].ID))
		_, err = results.Write(filepath.Join(runner.Store.Root, s.Name))
		require.NoError(t, err)
	}
}

// However a forked study is divided among processes, and whichever of them comes to a trunk first, its table is the same and each
// trunk is trained once.
func TestSharesMakeTheForkedStudy(t *testing.T) {
	s, first := forked(), lab(t)
	s.Changes = s.Changes[1:]
	whole, err := s.Run(t.Context(), first, 1, nil)
	require.NoError(t, err)
	for name, shares := range map[string][]Share{
		"arms before trunks": {{Jobs: 1, Shard: Shard{2, 2}}, {Jobs: 1, Shard: Shard{1, 2}}},
		"two claims":         {{Jobs: 1, Claim: true}, {Jobs: 2, Claim: true}},
	} {
		t.Run(name, func(t *testing.T) {
			results := inShares(t, s, first, shares)
			require.Equal(t, whole.Table().Rows, results.Table().Rows)
			for i, run := range results.Runs {
				require.Equal(t, whole.Runs[i].ID, run.ID)
				require.True(t, sameNumbers(whole.Runs[i], run))
			}
		})
	}
}

// An arm of a forked study that changes the fine-tuning alone stays with the baseline's run.
func TestForkedStudyWithAFinetuning(t *testing.T) {
	s := tuned(t)
	s.Fork = &Fork{Step: 3}
	s.Changes[0] = Change{"heavier RTD", []string{"objective.rtd_weight=100"}}
	jobs, err := s.plan()
	require.NoError(t, err)
	list, err := s.runs(t.Context(), lab(t), jobs)
	require.NoError(t, err)
	require.NotEqual(t, list[0].ID, list[1].ID)
	require.Equal(t, list[0].ID, list[2].ID, "layer decay")
	require.Equal(t, []int{0, 3, 0}, []int{s.shared(BaselineName, s.Baseline), s.shared("heavier RTD", s.Baseline), s.shared("layer decay", s.Baseline)})
}

// A forked study until decided on a fine-tuning, stopped in the middle and gone on with by two claims, ends in the table of one that
// nothing happened to.
func TestForkedAndFinetunedUntilDecided(t *testing.T) {
	s, runner := tuned(t), lab(t)
	s.Fork, s.Finetune.Steps = &Fork{Step: 3}, 2
	s.Changes = []Change{{"heavier RTD", []string{"objective.rtd_weight=100", "finetune.optimizer.layer_decay=0.5"}}}
	require.NoError(t, s.UntilDecidedWithin(6))
	whole, err := s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	require.True(t, whole.Complete())
	require.Equal(t, 6, whole.Compare()[0].Pairs)

	again := runner.Anew()
	again.Corpus, again.Store = runner.Corpus, runs.Store{Root: filepath.Join(t.TempDir(), "runs")}
	ctx, stop := context.WithCancel(t.Context())
	_, err = s.Run(ctx, again, 1, func(e Event) {
		if e.Done == 5 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	opened, err := Open(filepath.Join(again.Store.Root, s.Name))
	require.NoError(t, err)
	require.GreaterOrEqual(t, opened.Ended(), 5, "what has ended is known, though no report was written")
	results := inSharesAt(t, s, again, again.Store.Root, []Share{{Jobs: 1, Claim: true}, {Jobs: 1, Claim: true}})
	require.True(t, results.Complete())
	require.Equal(t, whole.Table().Rows, results.Table().Rows)
}

func TestForksOfStudiesThatMakeNoSense(t *testing.T) {
	for want, spoil := range map[string]func(*Study){
		"fork after a step from 1 to 5":                          func(s *Study) { s.Fork.Step = 6 },
		`arm "no bias": a fork cannot change positions.relative`: func(s *Study) { s.Changes[0] = Change{"no bias", []string{"positions.relative=none"}} },
	} {
		s := forked()
		spoil(&s)
		_, err := s.Arms()
		require.True(t, usererr.Is(err), "%s: %v", want, err)
		require.ErrorContains(t, err, want)
	}
	before, after := forked(), forked()
	after.Fork = &Fork{Step: 2}
	require.Equal(t, "its arms leave the baseline's run at another step", Results{Study: after}.Plan().differs(Results{Study: before}.Plan()))
}
