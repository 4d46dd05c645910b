// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/tokens"
	_ "metrolab/metro/tokens/all"
)

// Pretrained is a trained model on disk: the newest good checkpoint of a run, whether or not the run is finished, or a
// Hugging Face folder (see package hf).
type Pretrained struct {
	Dir       string
	Identity  RunIdentity // of a run; of a Hugging Face folder only Config is set
	Tokenizer tokens.Tokenizer
	Model     metro.Model
	Step      int      // that a run's checkpoint was saved after
	Notes     []string // what was passed over, a sentence each: damaged checkpoints, tensors that are not read

	open  func(as metro.Config, part part) (weightFile, error)
	named func(as metro.Config) metro.Config // the config by which open names the tensors
	shape func(metro.Config) metro.Config
}

// described lists every weight that may be in the file that open gives, by the names it has there.
func (p Pretrained) described(as metro.Config) metro.Inventory {
	return metro.Describe(p.named(as), p.Model.Vocab)
}

// part is what is wanted of a model.
type part int

const (
	wholeModel part = iota
	generatorAlone
)

// weightFile is a trained model's variables on disk, under the names that checkpoints give them, float32 or float64.
type weightFile interface {
	Tensors() []safetensors.Info
	Lookup(name string) (safetensors.Info, bool)
	Read(name string, dst []byte) error
	Close() error
}

// LoadPretrained looks at the run in directory dir, its config, its tokenizer and its newest good checkpoint, or at the
// Hugging Face folder that dir is. No weight is read before it is asked for. A directory that is neither, a run without a
// checkpoint and damaged files are the user's to mend.
func LoadPretrained(dir string) (Pretrained, error) {
	if isHuggingFace(dir) {
		return loadHuggingFace(dir)
	}
	p := Pretrained{Dir: dir}
	var err error
	if p.Identity, err = ReadIdentity(dir); err != nil {
		return Pretrained{}, err
	}
	checkpoints := runs.Checkpoints{Dir: filepath.Join(dir, runs.CheckpointsDir)}
	checkpoint, found, err := checkpoints.Latest(func(damaged string, err error) {
		p.Notes = append(p.Notes, fmt.Sprintf("checkpoint %s is damaged (%v), the one before it is used", damaged, err))
	})
	switch {
	case err != nil:
		return Pretrained{}, usererr.New("run %s: %w", dir, err)
	case !found:
		return Pretrained{}, withoutCheckpoint(dir, p.Identity.Config.Training)
	}
	p.Step = checkpoint.Step
	p.open = func(metro.Config, part) (weightFile, error) {
		return safetensors.Open(filepath.Join(checkpoint.Dir, variablesFile))
	}
	p.named = func(metro.Config) metro.Config { return p.Identity.Config }
	p.shape = func(c metro.Config) metro.Config { return shapedAs(c, p.Identity.Config) }

	path := filepath.Join(dir, runs.TokenizerFile)
	if p.Tokenizer, err = tokens.Load(path); err != nil {
		return Pretrained{}, usererr.New("run %s: %w", dir, err)
	}
	if got, want := p.Tokenizer.Hash(), p.Identity.Tokenizer; got != want {
		return Pretrained{}, usererr.New("%s is not the tokenizer that the run was trained with: its hash is %.10s, %s says %.10s", path, got, runs.ConfigFile, want)
	}
	p.Model = metro.Model{Config: p.Identity.Config, PadID: p.Tokenizer.Special().PAD}
	p.Model.Vocab, err = p.vocab()
	return p, err
}

// vocab is V of a run: the rows of its token table, which are more than the tokenizer has where the run began with a model
// whose table is padded.
func (p Pretrained) vocab() (int, error) {
	file, err := p.open(p.Model.Config, wholeModel)
	if err != nil {
		return 0, usererr.New("%s: %w", p.Dir, err)
	}
	defer file.Close()
	rows := metro.VocabSize(p.Model.Config, func(tensor string) ([]int, bool) {
		info, ok := file.Lookup(tensor)
		return info.Shape, ok
	})
	return max(rows, p.Tokenizer.VocabSize()), nil
}

// ReadIdentity reads the config.json of the run in directory dir. A directory that is no run, and a config that cannot be,
// are the user's errors.
func ReadIdentity(dir string) (identity RunIdentity, err error) {
	path := filepath.Join(dir, runs.ConfigFile)
	err = runs.ReadJSON(path, &identity)
	if errors.Is(err, fs.ErrNotExist) {
		return identity, usererr.New("%s is not a run: there is no %s in it; name a folder that pretraining wrote", dir, runs.ConfigFile)
	}
	if err != nil {
		return identity, usererr.New("run %s: %w", dir, err)
	}
	if identity.NumericsVersion > 0 && identity.Components == nil {
		return identity, usererr.New("%s was written by an older version of metrolab, whose models this one does not read; train it again", path)
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

// IsRun reports whether the model is a run of this project, not a Hugging Face folder.
func (p Pretrained) IsRun() bool { return p.Identity.NumericsVersion > 0 }

// Shape returns c with the shapes that p has: embeddings, encoders, positions, sharing, heads and the length of rows, so
// that a run of it can begin with p's weights. What decides no shape stays c's.
func (p Pretrained) Shape(c metro.Config) metro.Config { return p.shape(c) }

func shapedAs(c, trained metro.Config) metro.Config {
	c.Data, c.Embeddings, c.Positions, c.Sharing = trained.Data, trained.Embeddings, trained.Positions, trained.Sharing
	c.Main, c.Generator = trained.Main, trained.Generator
	c.Objective.GeneratorHead, c.Objective.RTDHead = trained.Objective.GeneratorHead, trained.Objective.RTDHead
	return c
}

// Restore sets the variables of store that belong to the main model, heads left out, from the checkpoint; others it leaves
// alone. The checkpoint must have all of them and no more, else the error names what does not fit, and nothing has changed.
func (p Pretrained) Restore(store *model.Store) error {
	if p.named == nil {
		return errNoWeights
	}
	return p.restore(store, byPath(variablesOf(store, p.described(p.Model.Config).Of(metro.OwnerMain).Encoder())))
}

// RestoreAll sets all variables of store from the checkpoint, heads and generator included. See [Pretrained.Restore].
func (p Pretrained) RestoreAll(store *model.Store) error {
	return p.restore(store, byPath(slices.Collect(store.IterVariables())))
}

var errNoWeights = errors.New("there are no pretrained weights to restore; get them from LoadPretrained")

func (p Pretrained) restore(store *model.Store, variables []*model.Variable) error {
	if p.open == nil {
		return errNoWeights
	}
	file, err := p.open(p.Model.Config, wholeModel)
	if err != nil {
		return usererr.New("%s: %w", p.Dir, err)
	}
	defer file.Close()
	unread := p.unread(file, variables)
	if err := readPart(file, variables, func(tensor string) bool { return !unread[tensor] }); err != nil {
		return usererr.New("%s: %w", p.Dir, err)
	}
	return nil
}

// unread tells the tensors of file that variables may well do without: moments, and heads and a generator that nobody asked
// for. Of a model whose parts are all known here, a tensor that its config does not describe is none of them.
func (p Pretrained) unread(file weightFile, variables []*model.Variable) map[string]bool {
	unread := map[string]bool{}
	described := p.described(p.Model.Config)
	_, complete := p.named(p.Model.Config).Inventory(p.Model.Vocab)
	for _, info := range file.Tensors() {
		unread[info.Name] = isMoment(info.Name) || !complete
	}
	for _, w := range described {
		unread[w.Tensor()] = true
	}
	for _, w := range described.Of(metro.OwnerMain).Encoder() {
		unread[w.Tensor()] = false
	}
	for _, v := range variables {
		unread[tensorName(v)] = false
	}
	return unread
}

// Heads says what the model can do beside encoding, by the heads that it has weights for: "generator", "rtd", "clm",
// "lm".
func (p Pretrained) Heads() (heads []string, err error) {
	file, err := p.open(p.Model.Config, wholeModel)
	if err != nil {
		return nil, usererr.New("%s: %w", p.Dir, err)
	}
	defer file.Close()
	described := p.described(p.Model.Config)
	for _, head := range []struct {
		name  string
		owner metro.Owner
		head  string
	}{
		{"generator", metro.OwnerGenerator, metro.HeadGenerator}, {"rtd", metro.OwnerMain, metro.HeadRTD},
		{"clm", metro.OwnerMain, metro.HeadCLM}, {"lm", metro.OwnerMain, metro.HeadLM},
	} {
		if slices.ContainsFunc(described.HeadOf(head.owner, head.head), func(w metro.Weight) bool {
			_, ok := file.Lookup(w.Tensor())
			return ok
		}) {
			heads = append(heads, head.name)
		}
	}
	return heads, nil
}

// isMoment tells what an optimizer remembers, in a checkpoint, from weights.
func isMoment(tensor string) bool {
	scope, _, _ := strings.Cut(tensor, ".")
	return slices.Contains(metro.OptimizerNames(), scope)
}
