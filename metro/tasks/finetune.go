// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// DefaultSteps is how long fine-tuning takes unless told otherwise: about one and a half passes over the training
// windows of [Families] at the size tiny. On its validation texts that is better than 600 steps by 0.01 to 0.04 of balanced
// accuracy, for one pretrained model and from scratch, at each of three learning rates.
const DefaultSteps = 1000

// Options says how to fine-tune. The zero value is a good start for the size tiny.
type Options struct {
	Steps        int     // 0 is DefaultSteps, unless there are Epochs
	Epochs       float64 // passes over the training rows, in the place of Steps
	Warmup       float64 // part of the steps until the peak; 0 is a tenth
	BatchSize    int     // windows a step; 0 is 32
	LearningRate float64 // peak, 0 at the end; 0 is half of pretraining's
	Seed         int64   // of the new weights, the order of the windows, and dropout
	FromScratch  bool    // leave the pretrained weights out: the control

	Set []string // assignments to fields of the config, as [metro.Config.Set] takes them, after all of the above
}

// Result is what came of fine-tuning, measured on the test texts.
type Result struct {
	Task       string   `json:"task"`
	Source     string   `json:"source"`
	Classes    []string `json:"classes"`
	TrainTexts int      `json:"train_texts"`
	TestTexts  int      `json:"test_texts"`
	CutTexts   int      `json:"cut_texts,omitempty"` // of which only the first 16 windows, or the beginning of a row, are read

	FromScratch     bool `json:"from_scratch"`
	PretrainedSteps int  `json:"pretrained_steps"` // of the checkpoint; 0 from scratch

	Adaptation string `json:"adaptation,omitempty"` // what learns beside the head, with its options; empty for all weights
	Trainable  int    `json:"trainable,omitempty"`  // numbers that learn, the head's among them; 0 in results from before there were adaptations
	Weights    int    `json:"weights,omitempty"`    // numbers in all weights that are read, heads and what stands beside the model among them

	Kind   string `json:"kind,omitempty"`   // as [About] has it; empty for texts that are cut into windows
	Metric string `json:"metric,omitempty"` // by which models are compared; see [Scores.Value]. Empty is balanced_accuracy

	Model      Scores `json:"model"`
	BagOfWords Scores `json:"bag_of_words,omitzero"` // these three as [Baselines] has them
	TFIDF      Scores `json:"tfidf,omitzero"`
	Majority   Scores `json:"majority"`

	Validation *Scores `json:"validation,omitempty"` // the model on the validation texts, if there are any; see [Choose]

	Steps        int     `json:"steps"`
	BatchSize    int     `json:"batch_size"`
	LearningRate float64 `json:"learning_rate"`
	Seed         int64   `json:"seed"`
	Passes       float64 `json:"passes"` // over the training windows
	Loss         float64 `json:"loss"`   // mean over the last tenth of the steps, nats
	Seconds      float64 `json:"seconds"`

	Run *runs.Run `json:"-"`
}

// Finetune trains the main model of p with the head of t on its training examples, all weights, with the optimizer of
// pretraining, and measures it on the test examples. Of a long text the first 16 windows are read. From scratch, p needs no
// more than its Model and Tokenizer.
//
// It is a run like any other, in r's store: named by what decides its numbers (the content of model and examples, seed,
// settings), found when it is asked for again, and gone on with, to the bit, where it was stopped. report (nil for none)
// hears of every step. If ctx ends, the state is saved and the error wraps [training.ErrInterrupted]. A task that cannot be
// learned, options out of range, and a loss that
// stops being a number are the user's errors; the last wraps [training.ErrDiverged].
func Finetune(ctx context.Context, r *training.Runner, p training.Pretrained, t Task, o Options, report func(training.Progress)) (Result, error) {
	job, err := Open(r, p, t, o)
	if err != nil {
		return Result{}, err
	}
	trained, err := job.Train(ctx, report)
	if err != nil {
		return Result{}, err
	}
	return resultOf(job, trained)
}

// resultOf reads what the workload has left.
func resultOf(job *training.Job, trained training.Result) (Result, error) {
	c := job.Identity().Config
	if err := trained.Err(); err != nil {
		return Result{}, usererr.New("fine-tuning %s: it %w, or a learning rate below %g", job.Dir, err, c.Optimizer.LearningRate)
	}
	result := Result{Run: job.Run}
	if err := json.Unmarshal(trained.Details, &result); err != nil {
		return Result{}, usererr.New("%s holds no result of a fine-tuning: %w; remove it to have it made again", job.Path(runs.ResultFile), err)
	}
	return result, nil
}

// Open returns the run of fine-tuning p on t, without training it.
func Open(r *training.Runner, p training.Pretrained, t Task, o Options) (*training.Job, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if err := p.NeedPlain(); err != nil {
		return nil, err
	}
	c, err := o.config(p, t)
	if err != nil {
		return nil, err
	}
	if err := needGenerator(p, c); err != nil {
		return nil, err
	}
	identity := r.Identity(c)
	identity.Corpus, identity.Tokenizer = t.Hash(), p.Tokenizer.Hash()
	if !o.FromScratch {
		hash, err := p.Hash()
		if err != nil {
			return nil, err
		}
		identity.Weights = map[string]string{"training.init_from": hash}
	}
	name := "finetune-" + t.About().Name
	if c.Task.Adaptation != metro.AdaptationFull {
		name += "-" + c.Task.Adaptation
	}
	if o.FromScratch {
		name += "-from-scratch"
	}
	return r.Assign(name, identity, func() (training.Workload, error) { return newFinetuning(p, t, c), nil })
}

// needGenerator returns the user's error if a fine-tuning reads the weights of a generator that p has not.
func needGenerator(p training.Pretrained, c metro.Config) error {
	reads, random := c.ReadsGenerator()
	if !reads || random || c.Task.FromScratch {
		return nil
	}
	heads, err := p.Heads()
	if err == nil && !slices.Contains(heads, string(metro.OwnerGenerator)) {
		return usererr.New("task.adaptation=%s reads the states of a generator, and %s holds none; name the folder of a run that trained one, or of a Hugging Face pair", c.Task.Adaptation, p.Dir)
	}
	return err
}

// config returns the config of pretraining with what fine-tuning has otherwise.
func (o Options) config(p training.Pretrained, t Task) (metro.Config, error) {
	c := p.Model.Config
	if o.Steps < 0 || o.BatchSize < 0 || !(o.LearningRate >= 0 && o.LearningRate <= 10) {
		return c, usererr.New("fine-tuning: steps %d and batch size %d must not be negative, and the learning rate %g must be in [0, 10]",
			o.Steps, o.BatchSize, o.LearningRate)
	}
	if o.Steps > 0 && o.Epochs > 0 || !(o.Epochs >= 0 && o.Warmup >= 0 && o.Warmup < 1) {
		return c, usererr.New("fine-tuning: %d steps or %g epochs, one of the two, neither negative, and a warm-up of %g of them, from 0 to 1", o.Steps, o.Epochs, o.Warmup)
	}
	c.Seed = o.Seed
	c.Task = metro.Task{Name: t.About().Name, Data: t.About().Source, FromScratch: o.FromScratch}
	c.Training.InitFrom, c.Replacements.Checkpoint, c.Growth = p.Dir, "", metro.Neutral().Growth
	c.Training.Steps = cmp.Or(o.Steps, DefaultSteps)
	c.Training.BatchSize, c.Training.Accumulate = cmp.Or(o.BatchSize, 32), 1
	c.Training.GeneratorSteps, c.Training.CopyGenerator = 0, false
	c.Training.PrefixSteps, c.Training.PrefixLayers = 0, 0
	c.Training.Fork, c.Training.KeepAt = "", 0 // which count pretraining's steps

	c.Optimizer.LearningRate = cmp.Or(o.LearningRate, c.Optimizer.LearningRate/2) // best on the validation texts of Families, of 1/16, 1/4, 1/2 and 1, pretrained and from scratch
	c.Optimizer.FinalFraction = 0
	if err := o.doubled(); err != nil {
		return c, err
	}
	asked := c
	if err := asked.SetAll(o.Set...); err != nil { // of which the other defaults follow
		return c, err
	}
	c.Training.Steps = asked.Training.Steps
	if o.Epochs > 0 {
		rows := trainingRows(p, t, asked.Data.SeqLen)
		steps := math.Round(o.Epochs * float64(rows) / float64(asked.Training.BatchSize))
		if !(steps <= mostSteps) {
			return c, usererr.New("fine-tuning: %g epochs of %d texts are %g steps, and %d are the most", o.Epochs, rows, steps, int64(mostSteps))
		}
		c.Training.Steps = max(1, int(steps))
	}
	c.Training.LogEvery, c.Training.EvalEvery = max(1, c.Training.Steps/100), c.Training.Steps
	c.Training.CheckpointEvery, c.Training.KeepCheckpoints = max(1, c.Training.Steps/4), 1
	c.Optimizer.WarmupSteps = c.Training.Steps / 10
	if o.Warmup > 0 {
		c.Optimizer.WarmupSteps = int(o.Warmup * float64(c.Training.Steps))
	}
	if err := o.assign(&c); err != nil {
		return c, err
	}
	if err := keepsModel(p.Model, c); err != nil {
		return c, err
	}
	if before := p.Model.Config; c.Positions.Absolute && c.Positions.Rows == 0 && c.Data.SeqLen < before.Data.SeqLen {
		c.Positions.Rows = before.PositionRows() // shorter rows read the beginning of the table
	}
	switch form := t.Form(c.Data.SeqLen); {
	case c.Data.SeqLen < form.Least:
		return c, usererr.New("data.seq_len=%d leaves the rows of this task no room for texts; fine-tune a model that reads %d tokens or more", c.Data.SeqLen, form.Least)
	case form.Counted && c.Training.Accumulate > 1:
		return c, usererr.New("training.accumulate=%d: the loss of this task is a mean over what is answered, of which the parts of a step have more or less; leave it at 1", c.Training.Accumulate)
	case !form.Pooled && c.Task.Pooling != "":
		return c, usererr.New("task.pooling=%s does nothing here: the head of this task reads every token", c.Task.Pooling)
	}
	return c, nil
}

// mostSteps is the most that training.steps may be.
const mostSteps = 1 << 40

// trainingRows is the number of examples that an epoch has: of tasks that read a text in several rows, of these.
func trainingRows(p training.Pretrained, t Task, seqLen int) int {
	cut := false
	switch t := t.(type) {
	case Spans, Cloze:
		cut = true
	case Classification:
		cut = !t.Whole
	}
	if !cut {
		return t.About().TrainTexts
	}
	train, _ := t.Encode(p.Tokenizer, seqLen)
	return train.Len()
}

// assign makes the assignments of o.Set. One that fine-tuning would not look at is the user's error.
func (o Options) assign(c *metro.Config) error {
	for _, a := range o.Set {
		for path, way := range map[string]string{
			"seed": "--seed", "task.name": "--task", "task.data": "--task and --data", "task.from_scratch": "--from-scratch", "training.init_from": "--model",
		} {
			if strings.HasPrefix(strings.TrimSpace(a), path) {
				return usererr.New("%s: of a fine-tuning, that is what %s says", a, way)
			}
		}
	}
	if err := c.SetAll(o.Set...); err != nil || len(o.Set) == 0 {
		return err
	}
	return c.Validate()
}

// doubled returns the user's error if a setting says what another option says already.
func (o Options) doubled() error {
	said := map[string]bool{"training.steps": o.Steps > 0 || o.Epochs > 0, "training.batch_size": o.BatchSize > 0, "optimizer.learning_rate": o.LearningRate > 0}
	for _, a := range o.Set {
		path, _, _ := strings.Cut(a, "=")
		if path = strings.TrimSpace(path); said[path] {
			return usererr.New("%s, and another option of this fine-tuning says %s too (steps, epochs, a rate, a choice of rates); leave one of the two out", a, path)
		}
	}
	return nil
}

// keepsModel returns the user's error if a fine-tuning's config is of another model than the pretrained one: weights that nobody
// has pretrained would stand in its midst, or what was pretrained would be computed in another way. Dropout may differ, and so may
// options of registered parts that change no weight.
func keepsModel(pretrained metro.Model, c metro.Config) error {
	const way = "fine-tuning trains the pretrained model as it is"
	before := map[string]any{}
	for _, f := range pretrained.Config.Fields() {
		before[f.Path] = f.Value
	}
	options := ""
	for _, f := range c.Fields() {
		group, field, _ := strings.Cut(f.Path, ".")
		shape := group == "main" || group == "embeddings" || group == "positions" || group == "sharing"
		switch {
		case !shape || field == "dropout" || before[f.Path] == f.Value:
		case strings.Contains(field, "options."):
			options = fmt.Sprintf("%s=%v", f.Path, f.Value)
		default:
			return usererr.New("%s=%v: %s, which has %v", f.Path, f.Value, way, before[f.Path])
		}
	}
	if options == "" {
		return nil
	}
	weights := func(c metro.Config) metro.Inventory {
		return metro.Describe(c, pretrained.Vocab).Of(metro.OwnerMain).Encoder()
	}
	equal := func(a, b metro.Weight) bool { return a.Tensor() == b.Tensor() && slices.Equal(a.Shape, b.Shape) }
	if !slices.EqualFunc(weights(pretrained.Config), weights(c), equal) {
		return usererr.New("%s: %s, which has other weights", options, way)
	}
	return nil
}

// passes is how often the training rows are read.
func passes(c metro.Config, rows int) float64 {
	return float64(c.Training.Steps*c.Training.BatchSize) / float64(rows)
}

// describe is what a finished fine-tuning leaves.
func (f *finetuning) describe(t training.Trained) Result {
	about, c := f.task.About(), f.model.Config
	baselines := f.baselines()
	result := Result{
		Task: about.Name, Source: about.Source, Classes: about.Classes, TrainTexts: about.TrainTexts, TestTexts: about.TestTexts,
		FromScratch: c.Task.FromScratch, Adaptation: c.Adaptation(), Trainable: f.weights.Learning().Count(), Weights: f.weights.Count(),
		Model: f.scored.Model, BagOfWords: baselines.BagOfWords, TFIDF: baselines.TFIDF, Majority: baselines.Majority, Validation: f.scored.Validation,
		Steps: t.Steps, BatchSize: c.Training.BatchSize, LearningRate: c.Optimizer.LearningRate, Seed: c.Seed,
		Passes: passes(c, f.train.examples(f.form.Texts)), Loss: t.LastLoss, Seconds: t.Seconds,
	}
	if about.Metric != "balanced_accuracy" || result.Model.Metrics != nil {
		result.Kind, result.Metric = about.Kind, about.Metric
	}
	result.CutTexts = f.train.cut + f.asked.cut
	if !result.FromScratch {
		result.PretrainedSteps = f.pretrained.Step
	}
	return result
}
