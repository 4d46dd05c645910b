// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Estimate is what a study takes, said before anything starts. What is not known is NaN.
type Estimate struct {
	Arms     []ArmEstimate
	Finetune int // steps of the fine-tuning that follows each run, which is not counted here; 0 for none
	Measured int // runs of the recipe in the store, made on this machine by this engine, which times and disk are taken from
}

// ArmEstimate is that of one arm.
type ArmEstimate struct {
	Name     string
	Runs     int     // one a seed
	Finished int     // of which so many lie in the store already
	Tokens   float64 // a run reads
	FLOPs    float64 // of a run's matrix products, the generator's among them; see [metro.Config.FLOPs]
	Seconds  float64 // a run takes by the clock, if it has the machine to itself as those before it had
	Bytes    float64 // a run leaves on the disk
}

// missing is the number of runs that are to be trained.
func (a ArmEstimate) missing() float64 { return float64(a.Runs - a.Finished) }

// Left is what the runs that are to be trained take together: NaN where it is not known of one of them.
func (c Estimate) Left() (left ArmEstimate) {
	for _, arm := range c.Arms {
		left.Runs, left.Finished = left.Runs+arm.Runs, left.Finished+arm.Finished
		if n := arm.missing(); n > 0 {
			left.Tokens, left.FLOPs = left.Tokens+n*arm.Tokens, left.FLOPs+n*arm.FLOPs
			left.Seconds, left.Bytes = left.Seconds+n*arm.Seconds, left.Bytes+n*arm.Bytes
		}
	}
	return left
}

// Time is the clock's time that is left for so many runs at a time; ok is false where it is not known.
func (c Estimate) Time(workers int) (left time.Duration, ok bool) {
	seconds := c.Left().Seconds / float64(workers)
	if math.IsNaN(seconds) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// Estimate looks up which runs of the study have ended, and what a run takes: tokens and operations follow from its config, time and
// disk from earlier runs of the recipe. Nothing is trained; a tokenizer that is not there is learned. Arms that differ in their
// fine-tuning alone have their runs in common, which count once.
func (s Study) Estimate(ctx context.Context, runner *training.Runner) (Estimate, error) {
	jobs, err := s.plan()
	if err != nil {
		return Estimate{}, err
	}
	list, err := s.runs(ctx, runner, jobs)
	if err != nil {
		return Estimate{}, err
	}
	before, err := earlierRuns(runner, s.Recipe)
	if err != nil {
		return Estimate{}, err
	}
	estimate := Estimate{Finetune: s.Finetune.steps(), Measured: len(before)}
	at := map[string]int{}
	seen := map[string]bool{}
	for i, run := range list {
		if seen[run.ID] {
			continue
		}
		seen[run.ID] = true
		if _, there := at[run.Arm]; !there {
			at[run.Arm] = len(estimate.Arms)
			estimate.Arms = append(estimate.Arms, s.estimateArm(jobs[i].arm, before))
		}
		arm := &estimate.Arms[at[run.Arm]]
		arm.Runs++
		if err := run.load(runner.Store, false); err == nil && run.Ended {
			arm.Finished++
		}
	}
	return estimate, nil
}

func (s Study) estimateArm(arm Arm, before []earlierRun) ArmEstimate {
	c := arm.Config
	steps := float64(c.Training.Steps - s.shared(arm.Name, c))
	estimate := ArmEstimate{Name: arm.Name, Tokens: steps * float64(c.Training.BatchSize*c.Data.SeqLen), FLOPs: math.NaN(), Seconds: math.NaN(), Bytes: math.NaN()}
	perStep := flopsOfStep(c)
	if flops, err := costBetween(c, MatchFLOPs, s.shared(arm.Name, c), c.Training.Steps); err == nil {
		estimate.FLOPs = flops
	}
	if inventory, complete := c.Inventory(c.Data.VocabSize); complete {
		const weightAndMoments = 3 * 4
		for _, w := range inventory {
			estimate.Bytes = math.Max(estimate.Bytes, 0) + float64(weightAndMoments*w.Size()*max(1, c.Training.KeepCheckpoints))
		}
	}
	var alike, perOperation, sizes []float64
	for _, run := range before {
		if math.Abs(run.flops/perStep-1) < 0.01 {
			alike, sizes = append(alike, run.secondsAStep), append(sizes, run.bytes)
		}
		perOperation = append(perOperation, run.secondsAStep/run.flops)
	}
	if len(alike) > 0 {
		estimate.Seconds, estimate.Bytes = steps*median(alike), median(sizes)
	} else {
		estimate.Seconds = estimate.FLOPs * median(perOperation)
	}
	return estimate
}

// flopsOfStep is the mean over the steps of a run; NaN for a config whose operations cannot be counted.
func flopsOfStep(c metro.Config) float64 {
	flops, err := costBetween(c, MatchFLOPs, 0, c.Training.Steps)
	if err != nil {
		return math.NaN()
	}
	return flops / float64(c.Training.Steps)
}

// earlierRun is what a finished run took.
type earlierRun struct {
	flops        float64 // of a step
	secondsAStep float64 // by the clock, compilation and evaluation included
	bytes        float64
}

// earlierRuns are the finished runs of a recipe in the runner's store that were made on this machine by its engine. What cannot
// be read of a run leaves it out.
func earlierRuns(runner *training.Runner, recipe string) (list []earlierRun, err error) {
	all, err := runner.Store.List()
	if err != nil {
		return nil, err
	}
	here := runs.CollectProvenance(time.Now(), runner.Provenance)
	for _, summary := range all {
		if summary.State != runs.Finished {
			continue
		}
		run, err := runner.Store.Open(summary.ID)
		if err != nil {
			continue
		}
		var identity training.RunIdentity
		if err := runs.ReadJSON(filepath.Join(run.Dir, runs.ConfigFile), &identity); err != nil || identity.Name != recipe || identity.Config.Task.Name != "" {
			continue
		}
		result, ended, err := training.ReadResult(run)
		attempts, _ := run.Attempts()
		if err != nil || !ended || result.Steps == 0 || len(attempts) == 0 || !slices.ContainsFunc(attempts, func(p runs.Provenance) bool { return sameMachine(p, here) }) {
			continue
		}
		list = append(list, earlierRun{flopsOfStep(identity.Config), result.Seconds / float64(result.Steps), float64(summary.Size)})
	}
	return list, nil
}

func sameMachine(a, b runs.Provenance) bool {
	return a.Host == b.Host && a.CPU == b.CPU && a.Cores == b.Cores && a.Backend.Name == b.Backend.Name && a.Backend.Platform == b.Backend.Platform
}

// median is NaN of no numbers.
func median(numbers []float64) float64 {
	sorted := slices.DeleteFunc(slices.Clone(numbers), math.IsNaN)
	if len(sorted) == 0 {
		return math.NaN()
	}
	slices.Sort(sorted)
	return stat.Quantile(0.5, stat.Empirical, sorted, nil)
}

// Basis says where times and disk come from.
func (c Estimate) Basis(recipe string) string {
	if c.Measured == 0 {
		return fmt.Sprintf("no run of %s has ended here on this machine and engine, so that the time is not known and the disk is reckoned from the weights", recipe)
	}
	return fmt.Sprintf("times are medians of %d finished runs of %s here, by the operations of a step where none is like it", c.Measured, recipe)
}

// Reckon is what all runs of the study take together, as far as it follows from their configs: tokens and operations.
func (s Study) Reckon() (sum ArmEstimate, err error) {
	arms, err := s.Arms()
	if err != nil {
		return sum, err
	}
	for _, arm := range arms {
		one, n := s.estimateArm(arm, nil), float64(len(s.Seeds))
		sum.Runs += len(s.Seeds)
		sum.Tokens, sum.FLOPs = sum.Tokens+n*one.Tokens, sum.FLOPs+n*one.FLOPs
	}
	sum.Seconds, sum.Bytes = math.NaN(), math.NaN()
	return sum, nil
}
