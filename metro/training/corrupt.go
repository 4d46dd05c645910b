// SPDX-License-Identifier: Apache-2.0

package training

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/randstream"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/corruptions"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/tokens"
	"metrolab/metro/weights"
)

// stored is what replacements.checkpoint names of corruptions.
type stored struct {
	corruptions.About
	dir       string
	tokenizer tokens.Tokenizer
}

func loadStored(dir string) (*stored, error) {
	s := &stored{dir: dir}
	var err error
	if s.About, err = corruptions.Look(dir); err != nil {
		return nil, usererr.New("replacements.checkpoint: %w", err)
	}
	if s.tokenizer, err = tokens.Load(filepath.Join(dir, runs.TokenizerFile)); err != nil {
		return nil, usererr.New("replacements.checkpoint: %w", err)
	}
	return s, nil
}

func (r *Runner) openStored(s *stored) (*corruptions.Reader, error) {
	return r.kept().corruptions.get(s.Hash, func() (*corruptions.Reader, error) { return corruptions.Open(s.dir) })
}

// drawing lists what of a config decides which rows are read, where they are masked and what is drawn there, by path.
func drawing(c metro.Config) map[string]string {
	settings := map[string]string{}
	for _, f := range c.Fields() {
		section, _, _ := strings.Cut(f.Path, ".")
		decides := slices.Contains([]string{"seed", "masking", "replacements", "generator", "embeddings", "positions"}, section) ||
			slices.Contains([]string{"data.seq_len", "evaluation.rows", "training.batch_size", "training.steps"}, f.Path)
		if decides && f.InUse && !f.AtNeutral && !f.IsPath && f.Class != metro.ClassOperation {
			settings[f.Path] = fmt.Sprint(f.Value)
		}
	}
	return settings
}

// fits is the user's error if a run would read other rows, or mask them elsewhere, than those that were drawn for. A shorter run reads
// the beginning, unless its masks follow from its length.
func (s *stored) fits(run RunIdentity) error {
	const way = "; set what the corruptions were made with, or make others with metro corrupt"
	switch c := run.Config; {
	case run.Corpus != s.Corpus || !slices.Equal(mixed(run), s.Mixture):
		return usererr.New("the corruptions in %s were made of another text than the run reads"+way, s.dir)
	case run.Tokenizer != s.Tokenizer:
		return usererr.New("the corruptions in %s have the tokenizer %.10s, and the run reads with %.10s"+way, s.dir, s.Tokenizer, run.Tokenizer)
	case c.Training.Steps > s.Steps:
		return usererr.New("the corruptions in %s are for %d steps, and training.steps is %d"+way, s.dir, s.Steps, c.Training.Steps)
	}
	here := drawing(run.Config)
	paths := maps.Clone(s.Settings)
	maps.Copy(paths, here)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		section, _, _ := strings.Cut(path, ".")
		switch {
		case slices.Contains([]string{"replacements", "generator", "embeddings", "positions"}, section): // were the generator's
		case path == "masking.rule": // what it saw
		case path == "training.steps" && run.Config.Masking.FinalRate == 0:
		case here[path] != s.Settings[path]:
			return usererr.New("the corruptions in %s were made with %s=%s, and the run has %s"+way, s.dir, path, cmp.Or(s.Settings[path], "its neutral value"), cmp.Or(here[path], "its neutral value"))
		}
	}
	return nil
}

func mixed(run RunIdentity) (texts []corruptions.Mixed) {
	for _, m := range run.Mixture {
		texts = append(texts, corruptions.Mixed(m))
	}
	return texts
}

// Corrupt draws, for each row that a run of config would read, what the masked language model of source says at its masked positions,
// and writes it to dir as corruptions: what replacements.source=stored reads, with dir as replacements.checkpoint. Source is a
// run or a Hugging Face folder with a generator or, of a model that was trained by masked language modelling, a main model with such
// a head; it brings its tokenizer and, whatever config says, its shape. Samples are those that config would draw with
// replacements.source=frozen.
//
// What dir holds of these corruptions already is kept, and nothing else may lie there. report (nil for none) hears of rows. If ctx
// ends, the error wraps [ErrInterrupted], and the same call goes on.
func (r *Runner) Corrupt(ctx context.Context, source string, config metro.Config, dir string, report func(done, total int)) (corruptions.About, error) {
	d, err := r.openDrawing(ctx, source, config)
	if err != nil {
		return corruptions.About{}, err
	}
	defer d.close()
	w, err := corruptions.Create(dir, d.made)
	if err != nil {
		return corruptions.About{}, err
	}
	if !w.Done() {
		if err := d.tokenizer.Save(filepath.Join(dir, runs.TokenizerFile)); err != nil {
			return corruptions.About{}, err
		}
		if err := d.write(ctx, w, report); err != nil {
			return corruptions.About{}, err
		}
	}
	return corruptions.Look(dir)
}

// drawingRun is a frozen generator, and the rows that it draws for.
type drawingRun struct {
	model     metro.Model
	workload  *Pretraining // of the rows; it is not trained
	heldOut   *HeldOut
	tokenizer tokens.Tokenizer
	made      corruptions.Made

	training, validation *model.Exec // with dropout, if training would draw so, and without
	closes               func()
}

func (d *drawingRun) close() {
	d.training.Finalize()
	d.validation.Finalize()
	d.closes()
}

func (r *Runner) openDrawing(ctx context.Context, source string, config metro.Config) (*drawingRun, error) {
	p, err := LoadPretrained(source)
	if err != nil {
		return nil, err
	}
	c := p.Shape(config)
	c.Data, c.Generator.Dropout, c.Positions.WithinDocuments = config.Data, config.Generator.Dropout, config.Positions.WithinDocuments
	c.Replacements.Source, c.Replacements.Checkpoint, c.Sharing = metro.SourceFrozen, source, metro.SharingNone
	c.Training.Accumulate, c.Training.InitFrom, c.Growth, c.Training.Fork = 1, "", metro.Neutral().Growth, ""
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if why := c.Idle("replacements.temperature"); why != "" {
		return nil, usererr.New("there is nothing to draw: %s", why)
	}
	dataset, err := r.dataset(ctx, c.Data, p.Tokenizer, nil)
	if err != nil {
		return nil, err
	}
	d := &drawingRun{tokenizer: p.Tokenizer}
	if d.workload, err = r.newPretraining(c, dataset, origins{frozen: &p}); err != nil {
		return nil, err
	}
	d.model, d.heldOut = d.workload.model, d.workload.heldOut
	hash, err := p.Hash()
	if err != nil {
		return nil, err
	}
	d.made = corruptions.Made{
		Generator: hash, Corpus: dataset.Corpus.Hash, Tokenizer: p.Tokenizer.Hash(), Settings: drawing(c), Backend: r.BackendKind, Numerics: NumericsVersion,
		Vocab: d.model.Vocab, Steps: c.Training.Steps, Batch: c.Training.BatchSize, Slots: c.MaskedPositions(), HeldOut: c.Evaluation.Rows,
	}
	for _, m := range dataset.Mixed {
		d.made.Mixture = append(d.made.Mixture, corruptions.Mixed{Corpus: m.Corpus.Hash, Share: m.Share})
	}
	return d, d.compile(r, p)
}

// compile makes the graph that draws, over the weights of p.
func (d *drawingRun) compile(r *Runner, p Pretrained) error {
	src, err := p.Source()
	if err != nil {
		return err
	}
	defer src.Close()
	described := metro.Describe(d.model.Config, d.model.Vocab)
	inv := described.Of(metro.OwnerGenerator)
	if held := weights.Held(src, described); len(held.HeadOf(metro.OwnerGenerator, metro.HeadGenerator)) == 0 {
		if inv = append(described.Of(metro.OwnerMain).Encoder(), held.HeadOf(metro.OwnerMain, metro.HeadLM)...); len(held.HeadOf(metro.OwnerMain, metro.HeadLM)) == 0 {
			return usererr.New("%s has no masked language model, neither a generator nor a main model with such a head; name a run that trained one", p.Dir)
		}
	}
	store := model.NewStore()
	inv.Fill(store)
	if err := weights.Restore(store, src, d.model.Config, inv); err != nil {
		return err
	}
	engine, closes, err := r.Engine(d.model.Config)
	if err != nil {
		return err
	}
	d.closes = closes
	draw := func(trains bool) (*model.Exec, error) {
		return model.NewExec(engine, store, func(scope *model.Scope, in []*Node) []*Node {
			batch := batchNodes(d.model.Config, in[2:])
			if trains {
				batch.Key = in[0]
			}
			samples := d.model.Draw(scope, batch, d.workload.scalarNodes(in[1]))
			return []*Node{samples, Neg(samples), ConvertDType(ReduceAllSum(in[0]), samples.DType())} // pure Go fails where a node is newer than all outputs
		})
	}
	if d.training, err = draw(true); err == nil {
		d.validation, err = draw(false)
	}
	return err
}

// write draws the rows that w lacks.
func (d *drawingRun) write(ctx context.Context, w *corruptions.Writer, report func(done, total int)) error {
	add := func(first int, batch data.Batch, step int) error {
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		if done := w.Rows() - first; done < len(batch.Rows) { // else all of them are written
			samples, err := d.draw(batch, step)
			if err != nil {
				return err
			}
			slots := max(done, 0) * d.made.Slots
			if err := w.Add(batch.Positions[slots:], samples[slots:], batch.Weights[slots:]); err != nil {
				return err
			}
		}
		if report != nil {
			report(w.Rows(), d.made.Rows())
		}
		return nil
	}
	for step := w.Rows() / d.made.Batch; step < d.made.Steps; step++ {
		batch, err := d.workload.Batch(step)
		if err != nil {
			return err
		}
		if err := add(step*d.made.Batch, batch.(hostBatch).Batch, step+1); err != nil {
			return err
		}
	}
	if err := d.heldOut.eachGroup(func(first int, batch data.Batch) error {
		return add(d.made.Steps*d.made.Batch+first, batch, 0)
	}); err != nil {
		return err
	}
	return w.Finish()
}

// draw draws for the rows of a training step or, of the validation split, for those of step 0: without dropout, at the last step's
// temperature.
func (d *drawingRun) draw(batch data.Batch, step int) ([]int32, error) {
	c, exec := d.model.Config, d.training
	c.Training.BatchSize = len(batch.Rows)
	at := step
	if step == 0 {
		at, exec = c.Training.Steps, d.validation
	}
	a, b := randstream.Key(c.Seed, "dropout", step)
	scalars := d.workload.Scalars(at)
	in := []any{tensors.FromFlatDataAndDimensions([]uint64{a, b, 0}, dropoutWords), tensors.FromFlatDataAndDimensions(scalars, len(scalars))}
	for _, t := range (hostBatch{batch, c}).Part(0) {
		in = append(in, t)
	}
	out, err := exec.Call(in...)
	if err != nil {
		return nil, fmt.Errorf("draw corruptions: %w", err)
	}
	samples, err := tensors.CopyFlatData[int32](out[0])
	for _, t := range out {
		t.MustFinalizeAll()
	}
	return samples, err
}
