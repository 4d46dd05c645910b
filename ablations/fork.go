// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"

	"metrolab/internal/strictyaml"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Fork makes the arms of a study forks: at each seed they go on from the baseline's run after Step, which is trained once, and
// share every step before with it. So they cost less and differ by less, and what they show is an effect from Step on. An arm
// that cannot be a fork, see [metro.Config.CheckFork], is the user's error.
type Fork struct {
	Step int `json:"step"`
}

// checkFork looks whether an arm can go on from the baseline.
func (s Study) checkFork(arm Arm) error {
	f := s.Fork
	if f == nil {
		return nil
	}
	steps := min(s.Baseline.Training.Steps, arm.Config.Training.Steps)
	if f.Step < 1 || f.Step >= steps {
		return usererr.New("the study forks after step %d, and its runs have %d steps; fork after a step from 1 to %d", f.Step, steps, steps-1)
	}
	if s.Matching == MatchFLOPs {
		return usererr.New("a study that forks cannot match operations (matching=%s): its arms have those of the steps before in common; match steps", MatchFLOPs)
	}
	if arm.Config.Training.Fork != "" {
		return usererr.New("training.fork=%s: the study's own fork says where its arms go on from", arm.Config.Training.Fork)
	}
	return arm.Config.CheckFork(s.Baseline, f.Step)
}

// branches says whether an arm leaves the baseline's run. One that changes the fine-tuning alone stays with it.
func (s Study) branches(arm string) bool {
	i := slices.IndexFunc(s.Changes, func(c Change) bool { return c.Name == arm })
	if s.Fork == nil || i < 0 {
		return false
	}
	pretraining, _ := parts(s.Changes[i].Set)
	return len(pretraining) > 0
}

// shared is how many steps of an arm's runs are those of another run: the baseline's, or the one that its training.fork names.
func (s Study) shared(arm string, c metro.Config) int {
	if s.branches(arm) {
		return s.Fork.Step
	}
	if _, step, err := metro.ParseFork(c.Training.Fork); err == nil {
		return step
	}
	return 0
}

// note says what a report's differences are.
func (f *Fork) note() string {
	return fmt.Sprintf("Every arm is a fork: at each seed it goes on from the baseline's run after step %d, and shares all before with it. A difference is an effect from step %d on; what the change does earlier is not asked. What an arm cost is what its own steps did: those before are among the baseline's.",
		f.Step, f.Step+1)
}

// nameForks gives the runs that are forks the names that they have once their trunks are there: a fork is named by what it goes
// on from. Before that it has a name that no folder bears.
func (r *Results) nameForks() {
	f := r.Study.Fork
	if f == nil {
		return
	}
	trunks := map[int64]*training.Trunk{}
	for _, run := range r.Runs {
		if run.Arm == BaselineName {
			trunks[run.Seed], _ = training.LoadTrunk(filepath.Join(r.Store.Root, run.ID), f.Step) // nil while it is not there
		}
	}
	for i, run := range r.Runs {
		if trunk := trunks[run.Seed]; trunk != nil && r.Study.branches(run.Arm) {
			if id, err := forkID(r.Study.Recipe, trunk.Fork(seeded(r.config(run.Arm), run.Seed))); err == nil {
				r.Runs[i].ID = id
			}
		}
	}
}

func seeded(c metro.Config, seed int64) metro.Config {
	c.Seed = seed
	return c
}

func forkID(recipe string, fork training.RunIdentity) (string, error) {
	return runs.ID(recipe, fork.Key())
}

// forkToCome is the name of a fork whose trunk is not there yet.
func (s Study) forkToCome(trunk training.RunIdentity, c metro.Config) (string, error) {
	key, err := runs.Hash(trunk.Key())
	if err != nil {
		return "", err
	}
	to := training.Trunk{Identity: trunk, Hash: fmt.Sprintf("to come: %s@%d", key, s.Fork.Step)}
	return forkID(s.Recipe, to.Fork(c))
}

// forks are the runs of the jobs of a study whose arms are forks, as [Study.runs].
func (s Study) forks(ctx context.Context, runner *training.Runner, jobs []job) ([]Run, error) {
	trunk, err := runner.Identify(ctx, s.Baseline)
	if err != nil {
		return nil, fmt.Errorf("arm %q: %w", BaselineName, err)
	}
	results := Results{Study: s, Store: runner.Store}
	if results.Arms, err = s.Arms(); err != nil {
		return nil, err
	}
	for _, j := range jobs {
		trunk.Config = seeded(s.Baseline, j.seed)
		var id string
		if s.branches(j.arm.Name) {
			id, err = s.forkToCome(trunk, j.arm.Config)
		} else {
			id, err = runner.RunID(s.Recipe, trunk)
		}
		if err != nil {
			return nil, err
		}
		results.Runs = append(results.Runs, Run{Arm: j.arm.Name, Seed: j.seed, ID: id})
	}
	results.nameForks()
	return results.Runs, nil
}

// trunk trains the baseline's run at the seed of a fork as far as it is not trained yet, keeps its checkpoint of the step or makes it again,
// and returns the fork's config; if the trunk has diverged before, its result, which is the fork's too. Forks of one trunk in one
// process take turns.
func (s Study) trunk(ctx context.Context, runner *training.Runner, baseline Run, turn *sync.Mutex, fork metro.Config, progress func(training.Progress)) (metro.Config, training.Result, error) {
	turn.Lock()
	defer turn.Unlock()
	dir := filepath.Join(runner.Store.Root, baseline.ID)
	if _, err := training.LoadTrunk(dir, s.Fork.Step); err != nil {
		trunk, err := runner.Run(ctx, s.Recipe, s.keeping(seeded(s.Baseline, fork.Seed)), progress)
		if err != nil || s.Fork.divergedBefore(trunk) {
			return fork, asFork(trunk), err
		}
		if err := runner.MakeCheckpoint(ctx, dir, s.Fork.Step, progress); err != nil {
			return fork, training.Result{}, err
		}
	}
	fork.Training.Fork = fmt.Sprintf("%s@%d", baseline.ID, s.Fork.Step)
	return fork, training.Result{}, nil
}

// divergedBefore says whether a trunk has diverged in the steps that its forks share.
func (f *Fork) divergedBefore(trunk training.Result) bool {
	return trunk.Diverged != "" && trunk.Steps <= f.Step
}

// asFork is what a fork has of a trunk that has diverged before: no run of its own, and the reason.
func asFork(trunk training.Result) training.Result {
	return training.Result{Steps: trunk.Steps, Diverged: trunk.Diverged}
}

// endForks ends the forks that cannot begin, because the baseline's run has diverged before.
func (r *Results) endForks() {
	for i, run := range r.Runs {
		if run.Ended || !r.Study.branches(run.Arm) {
			continue
		}
		if trunk := r.at(BaselineName, run.Seed); trunk.Ended && r.Study.Fork.divergedBefore(trunk.Result) {
			r.Runs[i].Result, r.Runs[i].Ended = asFork(trunk.Result), true
		}
	}
}

// keeping is the baseline's config when it keeps the checkpoint that the arms go on from.
func (s Study) keeping(c metro.Config) metro.Config {
	if s.Fork != nil {
		c.Training.KeepAt = s.Fork.Step
	}
	return c
}

// inTurn orders the places of runs so that trunks are trained one seed ahead of the forks: who trains two runs at a time need not wait.
func (s Study) inTurn(places []int, jobs []job) []int {
	if s.Fork == nil {
		return places
	}
	var order []int
	arms := 1 + len(s.Changes)
	add := func(round int, trunks bool) {
		for _, i := range places {
			if i/arms == round && s.branches(jobs[i].arm.Name) != trunks {
				order = append(order, i)
			}
		}
	}
	for round := 0; round <= len(s.Seeds); round++ {
		add(round, true)
		add(round-1, false)
	}
	return order
}

func (d studyFile) fork(s *Study, n *yaml.Node) error {
	s.Fork = new(Fork)
	return d.Keys(n, []string{"step"}, func(_ string, value *yaml.Node) error {
		step, err := d.Whole(value)
		s.Fork.Step = int(step)
		return err
	})
}

func writtenFork(s Study) (*yaml.Node, error) {
	if s.Fork == nil {
		return nil, nil
	}
	n := strictyaml.Mapping()
	strictyaml.Put(n, "step", strictyaml.Scalar(fmt.Sprint(s.Fork.Step)))
	return n, nil
}
