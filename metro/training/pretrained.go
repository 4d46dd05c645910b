// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data/wordpiece"
	"metrolab/metro/runs"
)

// Pretrained is what a run has to offer: the newest good checkpoint, whether or not the run is finished.
type Pretrained struct {
	Dir       string // of the run
	Identity  RunIdentity
	Tokenizer *wordpiece.Tokenizer
	Model     metro.Model
	Step      int      // that the checkpoint was saved after
	Damaged   []string // newer checkpoints that were passed over, a sentence each

	variables string // the checkpoint's file
}

// LoadPretrained looks at the run in directory dir: its config, its tokenizer and its newest good checkpoint. No weight
// is read before [Pretrained.Restore]. A directory that is no run, a run without a checkpoint and damaged files are the
// user's to mend.
func LoadPretrained(dir string) (Pretrained, error) {
	p := Pretrained{Dir: dir}
	var err error
	if p.Identity, err = readIdentity(dir); err != nil {
		return Pretrained{}, err
	}
	checkpoints := runs.Checkpoints{Dir: filepath.Join(dir, runs.CheckpointsDir)}
	checkpoint, found, err := checkpoints.Latest(func(damaged string, err error) {
		p.Damaged = append(p.Damaged, fmt.Sprintf("checkpoint %s is damaged (%v), the one before it is used", damaged, err))
	})
	switch {
	case err != nil:
		return Pretrained{}, usererr.New("run %s: %w", dir, err)
	case !found:
		return Pretrained{}, withoutCheckpoint(dir, p.Identity.Config.Training)
	}
	p.Step, p.variables = checkpoint.Step, filepath.Join(checkpoint.Dir, variablesFile)

	path := filepath.Join(dir, runs.TokenizerFile)
	if p.Tokenizer, err = wordpiece.Load(path); err != nil {
		return Pretrained{}, usererr.New("run %s: %w", dir, err)
	}
	if got, want := p.Tokenizer.Hash(), p.Identity.Tokenizer; got != want {
		return Pretrained{}, usererr.New("%s is not the tokenizer that the run was trained with: its hash is %.10s, %s says %.10s", path, got, runs.ConfigFile, want)
	}
	p.Model = metro.Model{Config: p.Identity.Config, Vocab: p.Tokenizer.VocabSize(), PadID: p.Tokenizer.Special().PAD}
	return p, nil
}

func readIdentity(dir string) (identity RunIdentity, err error) {
	path := filepath.Join(dir, runs.ConfigFile)
	err = runs.ReadJSON(path, &identity)
	if errors.Is(err, fs.ErrNotExist) {
		return identity, usererr.New("%s is not a run: there is no %s in it; name a folder that pretraining wrote", dir, runs.ConfigFile)
	}
	if err != nil {
		return identity, usererr.New("run %s: %w", dir, err)
	}
	if err := identity.Config.Validate(); err != nil {
		first, _, more := strings.Cut(err.Error(), "\n")
		if more {
			first += ", and more"
		}
		return identity, usererr.New("%s is not the config of a training run: %s", path, first)
	}
	return identity, nil
}

// withoutCheckpoint says how far a run without any checkpoint is.
func withoutCheckpoint(dir string, t metro.Training) error {
	measured := 0
	if rows, _ := runs.ReadMetrics(filepath.Join(dir, runs.MetricsFile)); len(rows) > 0 {
		measured = rows[len(rows)-1].Step
	}
	return usererr.New("run %s has no checkpoint yet: its last record is of step %d of %d, the first checkpoint comes after step %d; train it with the command that began it",
		dir, measured, t.Steps, min(t.CheckpointEvery, t.Steps))
}

// Restore sets the variables of store that belong to the main model, those below /shared and /main with the heads for
// RTD and CLM left out, from the checkpoint; others it leaves alone. The checkpoint must have all of them and no more,
// else the error names what does not fit, and nothing has changed.
func (p Pretrained) Restore(store *model.Store) error {
	if p.variables == "" {
		return errors.New("there are no pretrained weights to restore; get them from LoadPretrained")
	}
	variables := sorted(store, func(v *model.Variable) bool { return isEncoder(tensorName(v)) })
	if err := readPart(p.variables, variables, isEncoder); err != nil {
		return usererr.New("run %s: %w", p.Dir, err)
	}
	return nil
}

// isEncoder tells the tensors of the main model without its heads from all others.
func isEncoder(tensor string) bool {
	room, rest, _ := strings.Cut(tensor, ".")
	head, _, _ := strings.Cut(rest, ".")
	return room == "shared" || room == "main" && head != "rtd" && head != "clm"
}
