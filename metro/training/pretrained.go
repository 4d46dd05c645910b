// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/hf"
	"metrolab/metro/runs"
	"metrolab/metro/tokens"
	_ "metrolab/metro/tokens/all"
	"metrolab/metro/weights"
)

// Pretrained is a trained model on disk: the newest good checkpoint of a run, whether or not the run is finished, that of a step,
// or a Hugging Face folder (see package hf).
type Pretrained struct {
	Dir       string      // as it was named: a folder, or RUN@STEP
	RunDir    string      // the run's folder; "" of a Hugging Face folder
	Identity  RunIdentity // of a run; of a Hugging Face folder only Config is set
	Tokenizer tokens.Tokenizer
	Model     metro.Model
	Step      int      // that a run's checkpoint was saved after
	Notes     []string // what was passed over, a sentence each: damaged checkpoints, tensors that are not read

	generatorAlone bool // there is no main model

	variables string // the file of a run's weights and moments

	open  func() (weights.Source, error)
	shape func(metro.Config) metro.Config
}

// Source opens the weights, which the caller closes. Its model is the trained one, under the config that it was trained with
// or, of a Hugging Face folder, under that which the folder alone tells.
func (p Pretrained) Source() (weights.Source, error) {
	if p.open == nil {
		return nil, errors.New("there are no pretrained weights to read; get them from LoadPretrained")
	}
	src, err := p.open()
	if err != nil {
		return nil, usererr.New("%s: %w", p.Dir, err)
	}
	return src, nil
}

// LoadPretrained looks at the run in directory dir, its config, its tokenizer and its newest good checkpoint, or at the
// Hugging Face folder that dir is. Where dir is RUN@STEP, and no folder of that name, it is the run's checkpoint of that step. No
// weight is read before it is asked for. A directory that is neither, a run without a checkpoint and damaged files are the
// user's to mend.
func LoadPretrained(dir string) (Pretrained, error) {
	p, err := LoadModel(dir)
	if err == nil && p.Tokenizer == nil {
		return Pretrained{}, usererr.New("%s has no tokenizer; put the tokenizer.json or the vocab.txt that belongs to the model there", dir)
	}
	return p, err
}

// LoadModel is [LoadPretrained] for those who read ids: a Hugging Face folder may lack the tokenizer, which is nil then.
func LoadModel(dir string) (Pretrained, error) {
	if isHuggingFace(dir) {
		return loadHuggingFace(dir)
	}
	p, step := Pretrained{Dir: dir}, 0
	if run, at, err := metro.ParseFork(dir); err == nil && !isFolder(dir) {
		dir, step = run, at
	}
	p.RunDir = dir
	var err error
	if p.Identity, err = ReadIdentity(dir); err != nil {
		return Pretrained{}, err
	}
	checkpoint, err := p.checkpoint(step)
	if err != nil {
		return Pretrained{}, err
	}
	p.Step, p.variables = checkpoint.Step, filepath.Join(checkpoint.Dir, variablesFile)
	p.shape = func(c metro.Config) metro.Config { return shapedAs(c, p.Identity.Config) }

	path := filepath.Join(dir, runs.TokenizerFile)
	if p.Tokenizer, err = tokens.Load(path); err != nil {
		return Pretrained{}, usererr.New("run %s: %w", dir, err)
	}
	if got, want := p.Tokenizer.Hash(), p.Identity.Tokenizer; got != want {
		return Pretrained{}, usererr.New("%s is not the tokenizer that the run was trained with: its hash is %.10s, %s says %.10s", path, got, runs.ConfigFile, want)
	}
	// V is the rows of the token table, more than the tokenizer has where the run began with a model whose table is padded.
	m := metro.Model{Config: p.Identity.Config, Vocab: p.Tokenizer.VocabSize(), PadID: p.Tokenizer.Special().PAD, SepID: p.Tokenizer.Special().SEP,
		Spelling: tokens.SpellingOf(p.Identity.Config, p.Tokenizer)}
	p.open = func() (weights.Source, error) {
		return weights.OpenCheckpoint(p.variables, dir, m)
	}
	src, err := p.Source()
	if err != nil {
		return Pretrained{}, err
	}
	p.Model = src.Model()
	return p, src.Close()
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkpoint is the run's of a step, or its newest good one for step 0.
func (p *Pretrained) checkpoint(step int) (runs.Checkpoint, error) {
	if step > 0 {
		return checkpointAt(p.RunDir, step)
	}
	checkpoints := runs.Checkpoints{Dir: filepath.Join(p.RunDir, runs.CheckpointsDir)}
	found, ok, err := checkpoints.Latest(func(damaged string, err error) {
		p.Notes = append(p.Notes, fmt.Sprintf("checkpoint %s is damaged (%v), the one before it is used", damaged, err))
	})
	if err != nil {
		return found, usererr.New("run %s: %w", p.RunDir, err)
	}
	if !ok {
		return found, withoutCheckpoint(p.RunDir, p.Identity.Config.Training)
	}
	return found, nil
}

// ReadIdentity reads the config.json of the run in directory dir, and looks whether it is as it was written (see
// [RunIdentity.Verify]). A directory that is no run, and a config that cannot be a run's or is not this one's, are the user's
// errors.
func ReadIdentity(dir string) (RunIdentity, error) {
	identity, err := readIdentity(dir)
	if err != nil {
		return identity, err
	}
	return identity, identity.Verify(dir)
}

// readIdentity is [ReadIdentity] of a config that may be another's.
func readIdentity(dir string) (identity RunIdentity, err error) {
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

// NeedPlain is [Pretrained.NeedMain], and the user's error if a fine-tuning has put weights beside the main model's, for those who
// want the main model without them.
func (p Pretrained) NeedPlain() error {
	if name := p.Model.Config.Adapter(); name != "" {
		return usererr.New("%s was fine-tuned with task.adaptation=%s, whose weights stand beside the main model's and are no part of it; name the model that it was fine-tuned from", p.Dir, name)
	}
	return p.NeedMain()
}

// IsRun reports whether the model is a run of this project, not a Hugging Face folder.
func (p Pretrained) IsRun() bool { return p.Identity.NumericsVersion > 0 }

// NeedMain is the user's error if p is a generator alone, for those who want its main model.
func (p Pretrained) NeedMain() error {
	if !p.generatorAlone {
		return nil
	}
	return usererr.New("%s holds a generator alone, and this takes a main model; name the folder of the pair, in which discriminator and generator lie, or that of the discriminator", p.Dir)
}

// Shape returns c with the shapes that p has: embeddings, encoders, positions, sharing, heads and the length of rows, so
// that a run of it can begin with p's weights. What decides no shape stays c's.
func (p Pretrained) Shape(c metro.Config) metro.Config { return p.shape(c) }

func shapedAs(c, trained metro.Config) metro.Config {
	trained.Data.Corpus, trained.Data.Mixture = c.Data.Corpus, c.Data.Mixture // the text is no shape
	c.Data, c.Embeddings, c.Positions, c.Sharing = trained.Data, trained.Embeddings, trained.Positions, trained.Sharing
	c.Main, c.Generator = trained.Main, trained.Generator
	c.Objective.GeneratorHead, c.Objective.RTDHead = trained.Objective.GeneratorHead, trained.Objective.RTDHead
	return c
}

// Restore sets the variables of store that belong to the main model, heads left out; others it leaves alone. Both models must
// agree (see [weights.Agree]), and p must have all weights, else the error names what does not fit, and nothing has changed.
func (p Pretrained) Restore(store *model.Store) error {
	return p.restore(store, func(w metro.Weight) bool { return w.ByMain && w.Head == "" })
}

// RestoreGenerator sets the variables of store that belong to the generator alone, its head left out. See [Pretrained.Restore].
func (p Pretrained) RestoreGenerator(store *model.Store) error {
	return p.restore(store, func(w metro.Weight) bool { return w.ByGenerator && !w.ByMain && w.Head == "" })
}

// RestoreAll sets all variables of store, heads and generator included. See [Pretrained.Restore].
func (p Pretrained) RestoreAll(store *model.Store) error {
	return p.restore(store, func(metro.Weight) bool { return true })
}

func (p Pretrained) restore(store *model.Store, keep func(metro.Weight) bool) error {
	src, err := p.Source()
	if err != nil {
		return err
	}
	defer src.Close()
	return weights.Restore(store, src, p.Model.Config, weightsIn(store, p.Model).Where(keep))
}

// Heads says what the model can do beside encoding, by the heads that it has weights for: "generator", "rtd", "clm",
// "lm".
func (p Pretrained) Heads() (heads []string, err error) {
	src, err := p.Source()
	if err != nil {
		return nil, err
	}
	defer src.Close()
	held := weights.Held(src, metro.Describe(p.Model.Config, p.Model.Vocab))
	for _, head := range []struct {
		name  string
		owner metro.Owner
		head  string
	}{
		{"generator", metro.OwnerGenerator, metro.HeadGenerator}, {"rtd", metro.OwnerMain, metro.HeadRTD},
		{"clm", metro.OwnerMain, metro.HeadCLM}, {"lm", metro.OwnerMain, metro.HeadLM},
	} {
		if len(held.HeadOf(head.owner, head.head)) > 0 {
			heads = append(heads, head.name)
		}
	}
	return heads, nil
}

// Hash is of the names, shapes and values of all weights: models with equal hashes are equal, wherever they lie.
func (p Pretrained) Hash() (string, error) {
	src, err := p.Source()
	if err != nil {
		return "", err
	}
	defer src.Close()
	hash, err := weights.Hash(src)
	if err != nil {
		return "", usererr.New("%w", err)
	}
	return hash, nil
}

// Export writes the model as Hugging Face folders into dir; see [hf.Export]. The notes say what ELECTRA has no place for. What
// fails is the user's to mend.
func (p Pretrained) Export(dir string) (notes []string, err error) { return p.export(dir, hf.Export) }

// ExportHalf is [Pretrained.Export] in half precision; see [hf.ExportHalf].
func (p Pretrained) ExportHalf(dir string) (notes []string, err error) {
	return p.export(dir, hf.ExportHalf)
}

func (p Pretrained) export(dir string, write func(string, tokens.Tokenizer, weights.Source) ([]string, error)) (notes []string, err error) {
	if err := p.NeedPlain(); err != nil {
		return nil, err
	}
	src, err := p.Source()
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if notes, err = write(dir, p.Tokenizer, src); err != nil {
		return nil, usererr.New("%w", err) // weights that cannot be read, or a folder that cannot be written
	}
	return notes, nil
}
