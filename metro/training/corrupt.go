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
// With top above 0 it keeps the logits of so many tokens in the place of samples (see [corruptions.Distribution]). A folder of those
// is a source too, which draws at any temperature without a generator; where too much was left out for that
// ([corruptions.Loss.Allows]), it is refused.
//
// What dir holds of these corruptions already is kept, and nothing else may lie there. report (nil for none) hears of rows. If ctx
// ends, the error wraps [ErrInterrupted], and the same call goes on.
func (r *Runner) Corrupt(ctx context.Context, source string, config metro.Config, dir string, top int, report func(done, total int)) (corruptions.About, error) {
	d, err := r.openDrawing(ctx, source, config, top)
	if err != nil {
		return corruptions.About{}, err
	}
	defer d.close()
	loss, err := d.measure()
	if err != nil {
		return corruptions.About{}, err
	}
	w, err := corruptions.Create(dir, d.made)
	if err != nil {
		return corruptions.About{}, err
	}
	w.SetLoss(loss)
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

// drawingRun is a frozen generator, or what was kept of its logits, and the rows that it draws for.
type drawingRun struct {
	model     metro.Model
	workload  *Pretraining // of the rows; it is not trained
	heldOut   *HeldOut
	tokenizer tokens.Tokenizer
	made      corruptions.Made

	logits               *corruptions.Reader // that were kept; nil for a generator
	training, validation *model.Exec         // the generator, with dropout if training would draw so, and without
	closes               func()
}

func (d *drawingRun) close() {
	if d.logits == nil {
		d.training.Finalize()
		d.validation.Finalize()
		d.closes()
	}
}

func (r *Runner) openDrawing(ctx context.Context, source string, config metro.Config, top int) (*drawingRun, error) {
	d := &drawingRun{}
	c := config
	c.Replacements.Source, c.Replacements.Checkpoint, c.Sharing = metro.SourceFrozen, source, metro.SharingNone
	c.Training.Accumulate, c.Training.InitFrom, c.Growth, c.Training.Fork = 1, "", metro.Neutral().Growth, ""
	o, p, err := drawnFrom(source)
	if err != nil {
		return nil, err
	}
	if p != nil {
		shaped := p.Shape(c)
		c.Embeddings, c.Main, c.Generator, c.Objective = shaped.Embeddings, shaped.Main, shaped.Generator, shaped.Objective
		c.Generator.Dropout, c.Positions = config.Generator.Dropout, shaped.Positions
		c.Positions.WithinDocuments = config.Positions.WithinDocuments
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if why := c.Idle("replacements.temperature"); why != "" {
		return nil, usererr.New("there is nothing to draw: %s", why)
	}
	d.tokenizer = o.tokenizer()
	dataset, err := r.dataset(ctx, c.Data, d.tokenizer, nil)
	if err != nil {
		return nil, err
	}
	run := r.Identity(c)
	run.Corpus, run.Tokenizer = dataset.Corpus.Hash, d.tokenizer.Hash()
	for _, m := range dataset.Mixed {
		run.Mixture = append(run.Mixture, MixedText{Corpus: m.Corpus.Hash, Share: m.Share})
	}
	if d.workload, err = r.newPretraining(c, dataset, o); err != nil {
		return nil, err
	}
	d.model, d.heldOut = d.workload.model, d.workload.heldOut
	d.logits, d.workload.stored = d.workload.stored, nil
	d.made = corruptions.Made{
		Corpus: run.Corpus, Mixture: mixed(run), Tokenizer: run.Tokenizer, Settings: drawing(c), Backend: r.BackendKind, Numerics: NumericsVersion,
		Vocab: d.model.Vocab, Steps: c.Training.Steps, Batch: c.Training.BatchSize, Slots: c.MaskedPositions(), HeldOut: c.Evaluation.Rows, Top: top,
	}
	if top > d.made.Vocab {
		return nil, usererr.New("the logits of %d tokens are to be kept, and there are %d tokens", top, d.made.Vocab)
	}
	if top > 0 { // what is drawn from them decides
		maps.DeleteFunc(d.made.Settings, func(path, _ string) bool {
			return strings.HasPrefix(path, "replacements.temperature") || path == "replacements.disallow_correct"
		})
	}
	if p == nil {
		d.made.Generator = "logits " + o.stored.Hash
		return d, d.checkLogits(o.stored, run, top)
	}
	if d.made.Generator, err = p.Hash(); err != nil {
		return nil, err
	}
	return d, d.compile(r, *p)
}

// drawnFrom opens a source of corruptions: a trained model, or logits that were kept.
func drawnFrom(source string) (origins, *Pretrained, error) {
	if _, err := corruptions.Look(source); err == nil {
		s, err := loadStored(source)
		return origins{stored: s}, nil, err
	}
	p, err := LoadPretrained(source)
	return origins{frozen: &p}, &p, err
}

// checkLogits looks whether logits that were kept are of the rows of run, and enough for its temperatures.
func (d *drawingRun) checkLogits(s *stored, run RunIdentity, top int) error {
	switch {
	case s.Top == 0:
		return usererr.New("%s holds samples, which were drawn already; a source is a trained model, or a folder of logits (metro corrupt --top)", s.dir)
	case top > 0:
		return usererr.New("%s holds the logits of %d tokens; others are kept of a trained model", s.dir, s.Top)
	}
	if err := s.fits(run); err != nil {
		return err
	}
	for step := 1; step <= d.made.Steps; step++ {
		if err := s.Loss.Allows(run.Config.TemperatureAt(step)); err != nil {
			return usererr.New("%s: %w", s.dir, err)
		}
	}
	return nil
}

// compile makes the graph that draws, over the weights of p.
func (d *drawingRun) compile(r *Runner, p Pretrained) error {
	src, err := p.Source()
	if err != nil {
		return err
	}
	defer src.Close()
	described := metro.Describe(d.model.Config, d.model.Vocab)
	held, inv := weights.Held(src, described), described.Of(metro.OwnerGenerator)
	if len(held.HeadOf(metro.OwnerGenerator, metro.HeadGenerator)) == 0 {
		head := held.HeadOf(metro.OwnerMain, metro.HeadLM)
		if len(head) == 0 {
			return usererr.New("%s has no masked language model, neither a generator nor a main model with such a head; name a run that trained one", p.Dir)
		}
		inv = append(described.Of(metro.OwnerMain).Encoder(), head...)
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
	exec := func(trains bool) (*model.Exec, error) {
		return model.NewExec(engine, store, func(scope *model.Scope, in []*Node) []*Node {
			batch := batchNodes(d.model.Config, in[2:])
			if trains {
				batch.Key = in[0]
			}
			said := d.model.Draw
			if d.made.Top > 0 {
				said = d.model.MaskedLogits
			}
			out := said(scope, batch, d.workload.scalarNodes(in[1]))
			return []*Node{out, Neg(out), ReduceAllSum(in[0])} // pure Go fails where a node is newer than all outputs
		})
	}
	if d.training, err = exec(true); err == nil {
		d.validation, err = exec(false)
	}
	return err
}

// write draws the rows that w lacks.
func (d *drawingRun) write(ctx context.Context, w *corruptions.Writer, report func(done, total int)) error {
	add := func(first int, batch data.Batch, step int) error {
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		if done := max(0, w.Rows()-first); done < len(batch.Rows) { // else all of them are written
			if err := d.add(w, first, batch, step, done*d.made.Slots); err != nil {
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

// add writes what is drawn for, or kept of, the rows of a batch from a slot on.
func (d *drawingRun) add(w *corruptions.Writer, first int, batch data.Batch, step, slot int) error {
	var samples []int32
	var err error
	switch {
	case d.made.Top > 0:
		kept, _, err := d.keep(batch, step)
		if err != nil {
			return err
		}
		return w.AddDistributions(batch.Positions[slot:], kept[slot:], batch.Weights[slot:])
	case d.logits != nil:
		samples, err = d.drawFromLogits(first, batch, step)
	default:
		samples, err = say(d, batch, step, tensors.CopyFlatData[int32])
	}
	if err != nil {
		return err
	}
	return w.Add(batch.Positions[slot:], samples[slot:], batch.Weights[slot:])
}

// say runs the generator on the rows of a training step or, of the validation split, on those of step 0: without dropout, at the last
// step's temperature.
func say[T any](d *drawingRun, batch data.Batch, step int, read func(*tensors.Tensor) ([]T, error)) ([]T, error) {
	c, exec := d.model.Config, d.training
	c.Training.BatchSize = len(batch.Rows)
	if step == 0 {
		exec = d.validation
	}
	a, b := randstream.Key(c.Seed, "dropout", step)
	scalars := d.workload.Scalars(d.at(step))
	in := []any{tensors.FromFlatDataAndDimensions([]uint64{a, b, 0}, dropoutWords), tensors.FromFlatDataAndDimensions(scalars, len(scalars))}
	for _, t := range (hostBatch{batch, c}).Part(0) {
		in = append(in, t)
	}
	out, err := exec.Call(in...)
	if err != nil {
		return nil, fmt.Errorf("draw corruptions: %w", err)
	}
	said, err := read(out[0])
	for _, t := range out {
		t.MustFinalizeAll()
	}
	return said, err
}

// at is the step whose temperature the rows of a step have: those of the validation split, step 0, have the last one's.
func (d *drawingRun) at(step int) int { return cmp.Or(step, d.made.Steps) }

// keep returns what is kept of the logits of a batch, and the logits.
func (d *drawingRun) keep(batch data.Batch, step int) (kept []corruptions.Distribution, logits [][]float32, err error) {
	all, err := say(d, batch, step, tensors.CopyFlatData[float32])
	if err != nil {
		return nil, nil, err
	}
	kept, logits = make([]corruptions.Distribution, len(batch.Positions)), slices.Collect(slices.Chunk(all, d.made.Vocab))
	for i, l := range logits {
		if batch.Weights[i] > 0 {
			kept[i] = corruptions.Of(l, d.made.Top)
		}
	}
	return kept, logits, nil
}

// measuredSlots is on how many slots it is measured what is lost by leaving logits out.
const measuredSlots = 256

// measure finds out what is lost by leaving logits out, on slots of the first steps. Too much at temperature 1 is the user's error.
func (d *drawingRun) measure() (corruptions.Loss, error) {
	if d.made.Top == 0 {
		return nil, nil
	}
	var all [][]float32
	var kept []corruptions.Distribution
	for step := 0; step < d.made.Steps && len(all) < measuredSlots; step++ {
		batch, err := d.workload.Batch(step)
		if err != nil {
			return nil, err
		}
		these, logits, err := d.keep(batch.(hostBatch).Batch, step+1)
		if err != nil {
			return nil, err
		}
		for i, weight := range batch.(hostBatch).Weights {
			if weight > 0 && len(all) < measuredSlots {
				all, kept = append(all, logits[i]), append(kept, these[i])
			}
		}
	}
	loss := corruptions.LossOf(all, kept, d.frequencies())
	return loss, loss.Allows(1)
}

// frequencies are those of the tokens in the training text, as logarithms; one that the text does not have, a special one say, has that
// of the rarest.
func (d *drawingRun) frequencies() []float32 {
	list := slices.Clone(d.model.LogUnigram)
	rarest := float32(0)
	for _, f := range list {
		if f > neverDrawn/2 {
			rarest = min(rarest, f)
		}
	}
	for i, f := range list {
		list[i] = max(f, rarest)
	}
	return list
}

// drawFromLogits draws from logits that were kept.
func (d *drawingRun) drawFromLogits(first int, batch data.Batch, step int) ([]int32, error) {
	slots, err := d.logits.Distributions(first, batch.Positions, batch.Weights)
	if err != nil {
		return nil, err
	}
	c, temperature := d.model.Config, d.model.Config.TemperatureAt(d.at(step))
	samples, frequencies := make([]int32, len(slots)), d.frequencies()
	for i, slot := range slots {
		if batch.Weights[i] == 0 {
			continue
		}
		p, u := slot.At(temperature, frequencies), float64(batch.Uniforms[i])
		if c.Replacements.DisallowCorrect {
			original := batch.Tokens[i/d.made.Slots*c.Data.SeqLen+int(batch.Positions[i])]
			u *= 1 - p[original]
			p[original] = 0
		}
		samples[i] = corruptions.Draw(p, u)
	}
	return samples, nil
}
