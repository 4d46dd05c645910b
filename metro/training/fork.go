// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
)

// forkPath is the setting that names a trunk.
const forkPath = "training.fork"

// Trunk is the checkpoint of a run from which another goes on: a fork. Both share every step up to it, in their weights, their
// moments and their logs, so that a fork whose config is the trunk's ends as the trunk does, to the bit.
type Trunk struct {
	Dir      string // of the run
	Step     int
	Identity RunIdentity // of the run
	Hash     string      // of step, weights and moments: what a fork is named by, wherever the run lies

	checkpoint runs.Checkpoint
	state      state
}

// FindTrunk looks at the run and the step that fork names, "RUN@STEP": RUN is a run of the store or, if there is none of that
// name, a folder. It is the user's error if there is no good checkpoint of the step; the message names the steps that
// have one.
func FindTrunk(store runs.Store, fork string) (*Trunk, error) {
	name, step, err := metro.ParseFork(fork)
	if err != nil {
		return nil, err
	}
	dir := name
	if filepath.Base(name) == name {
		if run, err := store.Open(name); err == nil {
			dir = run.Dir
		}
	}
	t, err := LoadTrunk(dir, step)
	if err != nil {
		return nil, usererr.New("%s=%s: %w", forkPath, fork, err)
	}
	return t, nil
}

// besideRun is what the config of the run in dir says of its trunk, with the trunk's folder if that lies beside dir.
func besideRun(dir, fork string) string {
	name, step, err := metro.ParseFork(fork)
	whole, absent := filepath.Abs(dir)
	if err != nil || absent != nil || filepath.Base(name) != name {
		return fork
	}
	trunk := filepath.Join(filepath.Dir(whole), name)
	if _, err := os.Stat(trunk); err != nil {
		return fork
	}
	return fmt.Sprintf("%s@%d", trunk, step)
}

// LoadTrunk looks at the checkpoint that the run in a folder has of a step. See [FindTrunk].
func LoadTrunk(dir string, step int) (*Trunk, error) {
	t := &Trunk{Dir: dir, Step: step}
	var err error
	if t.Identity, err = ReadIdentity(dir); err != nil {
		return nil, err
	}
	if name := t.Identity.Config.Task.Name; name != "" {
		return nil, usererr.New("%s is a run of the task %q, and only pretraining can be forked", dir, name)
	}
	if t.checkpoint, err = checkpointAt(dir, step); err != nil {
		return nil, err
	}
	weights, err := t.checkpoint.Sum(variablesFile)
	if err == nil {
		t.Hash, err = runs.Hash(map[string]any{"step": step, "variables": weights})
	}
	if err == nil {
		t.state, err = readState(t.checkpoint.Dir)
	}
	if err != nil {
		return nil, usererr.New("checkpoint %s: %w", t.checkpoint.Dir, err)
	}
	return t, nil
}

// checkpointAt is the checkpoint that the run in a folder has of a step. It is the user's error if there is none, or a damaged one.
func checkpointAt(dir string, step int) (runs.Checkpoint, error) {
	checkpoints := runs.Checkpoints{Dir: filepath.Join(dir, runs.CheckpointsDir)}
	found, ok, err := checkpoints.At(step)
	if err != nil {
		return found, usererr.New("%w; name another step of the run", err)
	}
	if !ok {
		return found, withoutStep(dir, step, checkpoints)
	}
	return found, nil
}

func withoutStep(dir string, step int, checkpoints runs.Checkpoints) error {
	steps, err := checkpoints.Steps()
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		return usererr.New("run %s has no checkpoint yet", dir)
	}
	words := strings.Trim(fmt.Sprint(steps), "[]")
	return usererr.New("run %s has no checkpoint of step %d, it has those of steps %s; name one of these, or make it with metro runs checkpoint %s@%d",
		dir, step, strings.ReplaceAll(words, " ", ", "), dir, step)
}

// Fork is the identity of the run of config that goes on from t.
func (t *Trunk) Fork(config metro.Config) RunIdentity {
	fork := t.Identity
	fork.Config, fork.Components, fork.KeyHash = config, config.Components(), ""
	fork.Weights = maps.Clone(fork.Weights)
	if fork.Weights == nil {
		fork.Weights = map[string]string{}
	}
	fork.Weights[forkPath] = t.Hash
	return fork
}

func (t *Trunk) path(name string) string { return filepath.Join(t.checkpoint.Dir, name) }

// allows returns the user's error if c cannot be the config of a fork of t.
func (t *Trunk) allows(c metro.Config) error {
	if err := c.CheckFork(t.Identity.Config, t.Step); err != nil {
		return usererr.New("%s=%s: %w", forkPath, c.Training.Fork, err)
	}
	return nil
}

// fits returns the user's error if this program would go on with other text, other weights, by another kind of engine or with
// other numerics than those that the trunk's steps were made with. Its devices may be more or fewer: a checkpoint says nothing of
// them, and the fork's name does.
func (t *Trunk) fits(fork RunIdentity) error {
	trunk := t.Identity
	type pair struct {
		what        string
		here, there any
	}
	pairs := []pair{
		{"version of the numerics", fork.NumericsVersion, trunk.NumericsVersion},
		{"kind of engine", onOneDevice(fork.Backend), onOneDevice(trunk.Backend)},
		{"use of vector instructions", fork.SIMD, trunk.SIMD},
		{"precision", fork.DType, trunk.DType},
		{"text", fork.Corpus, trunk.Corpus},
		{"data.mixture", fmt.Sprint(fork.Mixture), fmt.Sprint(trunk.Mixture)},
		{"tokenizer", fork.Tokenizer, trunk.Tokenizer},
		{"training.init_from", fork.Weights["training.init_from"], trunk.Weights["training.init_from"]},
		{"replacements.checkpoint", fork.Weights["replacements.checkpoint"], trunk.Weights["replacements.checkpoint"]},
	}
	for name, version := range fork.Components {
		if there, ok := trunk.Components[name]; ok {
			pairs = append(pairs, pair{"version of " + name, version, there})
		}
	}
	for _, p := range pairs {
		if p.here != p.there {
			return usererr.New("%s: %s was trained with another %s (%.10v, and %.10v here): its steps would not fit those that come; train it anew, or fork another run",
				forkPath, t.Dir, p.what, p.there, p.here)
		}
	}
	return nil
}
