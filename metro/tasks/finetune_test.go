// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/faultfs"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/tokens/wordpiece"
	"metrolab/metro/training"
)

// toy is a task whose classes differ in their verbs, somewhere in texts of one to four windows.
func toy() Classification {
	t := Classification{Name: "toy", Source: "toy", Classes: []string{"open", "closed", "read"}}
	verbs := [][]string{{"opens", "starts"}, {"closes", "ends"}, {"reads", "holds"}}
	for i := range 240 {
		class := i % 3
		text := fmt.Sprintf("the caller number %d %s the file", i*7%13, verbs[class][i/3%2])
		for range i % 4 {
			text += " and then the caller of the file " + verbs[class][i/5%2]
		}
		part := &t.Train
		if i >= 180 {
			part = &t.Test
		}
		*part = append(*part, Example{Text: text, Class: class})
	}
	return t
}

// untrained is a model with nothing but its shape, for fine-tuning from scratch.
func untrained(t *testing.T, task Classification) training.Pretrained {
	t.Helper()
	var texts []string
	for _, e := range task.Train {
		texts = append(texts, e.Text)
	}
	tokenizer, err := wordpiece.Train(slices.Values(texts), wordpiece.Options{VocabSize: 80, Lowercase: true})
	require.NoError(t, err)
	return training.Pretrained{
		Tokenizer: tokenizer,
		Model:     metro.Model{Config: recipes.Micro(), Vocab: tokenizer.VocabSize(), PadID: tokenizer.Special().PAD},
	}
}

// runnerOn trains in a store of its own.
func runnerOn(t *testing.T, be compute.Backend) *training.Runner {
	t.Helper()
	return &training.Runner{Backend: be, BackendKind: string(backend.Describe(be).Kind), CacheDir: t.TempDir(), Store: runs.Store{Root: t.TempDir()}}
}

func scratch(steps int) Options {
	return Options{Steps: steps, BatchSize: 12, LearningRate: 4e-3, FromScratch: true}
}

func TestFinetuneLearns(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		task := toy()
		var seen []training.Progress
		result, err := Finetune(t.Context(), runnerOn(t, be), untrained(t, task), task, scratch(120), func(p training.Progress) { seen = append(seen, p) })
		require.NoError(t, err)
		require.Greater(t, result.Model.BalancedAccuracy, 0.9)
		require.Greater(t, result.BagOfWords.BalancedAccuracy, 0.9)
		require.InDelta(t, 1.0/3, result.Majority.BalancedAccuracy, 1e-12)
		require.Less(t, result.Loss, 0.5)
		require.Equal(t, []int{180, 60, 120, 12, 0}, []int{result.TrainTexts, result.TestTexts, result.Steps, result.BatchSize, result.PretrainedSteps})

		require.Len(t, seen, 122)
		require.Equal(t, "compiling", seen[0].Phase)
		require.InDelta(t, math.Log(3), seen[1].Loss, 1e-6, "the head starts at 0")
		require.True(t, slices.ContainsFunc(seen, func(p training.Progress) bool { return p.Phase == "evaluating" && p.Step == 120 }))
	})
}

// Equal arguments give equal results to the last bit; another seed does not; dropout takes part.
func TestFinetuneIsRepeatable(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	p := untrained(t, task)
	p.Model.Config.Main.Dropout = 0.1
	tune := func(seed int64) Result {
		o := scratch(6)
		o.Seed = seed
		result, err := Finetune(t.Context(), runnerOn(t, be), p, task, o, nil)
		require.NoError(t, err)
		result.Seconds, result.Run = 0, nil
		return result
	}
	first := tune(1)
	require.Equal(t, first, tune(1))
	require.NotEqual(t, first.Loss, tune(2).Loss)
	p.Model.Config.Main.Dropout = 0
	require.NotEqual(t, first.Loss, tune(1).Loss)
}

func TestFinetuneErrors(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	p := untrained(t, task)
	missing := scratch(1)
	missing.FromScratch = false
	r := runnerOn(t, be)
	_, err := Finetune(t.Context(), r, p, task, missing, nil)
	require.ErrorContains(t, err, "no pretrained weights")
	one := Classification{Source: "here", Classes: []string{"a"}, Train: task.Train[:1], Test: task.Test[:1]}
	lacks := task
	lacks.Classes = append(slices.Clone(task.Classes), "never")
	dividing := p
	dividing.Model.Config.Optimizer.Epsilon = 0 // the first step divides 0 by 0 wherever the gradient is 0
	for name, test := range map[string]struct {
		p    training.Pretrained
		task Classification
		o    Options
		want string
	}{
		"one label":  {p, one, scratch(1), `here: all texts have one label, ["a"]`},
		"no example": {p, lacks, scratch(1), `of the label "never", 0 texts`},
		"steps":      {p, task, Options{Steps: -1}, "steps -1"},
		"rate":       {p, task, Options{LearningRate: math.NaN()}, "learning rate NaN"},
		"diverging":  {dividing, task, scratch(5), "diverged at step 2: the gradient not finite"},
	} {
		_, err := Finetune(t.Context(), r, test.p, test.task, test.o, nil)
		require.ErrorContains(t, err, test.want, name)
		require.True(t, usererr.Is(err), name)
	}
}

// From the corpus to the answer, over a run's directory.
func TestFinetuneARun(t *testing.T) {
	corpus := library(t, 300, text.Families...)
	be := backendtest.Go(t)
	c := recipes.Micro()
	c.Training.Steps, c.Training.BatchSize = 10, 4
	c.Evaluation.Rows = 4
	runner := &training.Runner{Backend: be, BackendKind: "go", Corpus: corpus, CacheDir: t.TempDir(), Store: runs.Store{Root: t.TempDir()}}
	run, err := runner.Run(t.Context(), "micro", c, nil)
	require.NoError(t, err)
	p, err := training.LoadPretrained(run.Run.Dir)
	require.NoError(t, err)
	task, err := Families(corpus)
	require.NoError(t, err)

	pretrained, err := Finetune(t.Context(), runner, p, task, Options{Steps: 3}, nil)
	require.NoError(t, err)
	require.Equal(t, 10, pretrained.PretrainedSteps)
	require.Equal(t, c.Optimizer.LearningRate/2, pretrained.LearningRate)
	require.Equal(t, 32, pretrained.BatchSize)
	scratch, err := Finetune(t.Context(), runner, p, task, Options{Steps: 3, FromScratch: true}, nil)
	require.NoError(t, err)
	require.Zero(t, scratch.PretrainedSteps)
	require.NotEqual(t, scratch.Loss, pretrained.Loss)

	// What was fine-tuned is a model like any other: its states can be read, and it can be fine-tuned further.
	tuned, err := training.LoadPretrained(pretrained.Run.Dir)
	require.NoError(t, err)
	reader, err := NewReader(be, tuned, ReaderOptions{Hidden: true})
	require.NoError(t, err)
	readings, err := reader.Texts(t.Context(), "close the file")
	require.NoError(t, err)
	require.NotEmpty(t, readings[0].Hidden)
	further, err := Finetune(t.Context(), runner, tuned, task, Options{Steps: 3, Seed: 1}, nil)
	require.NoError(t, err)
	require.NotEqual(t, further.Run.ID, pretrained.Run.ID)
	require.Equal(t, scratch.BagOfWords, pretrained.BagOfWords)
}

// What a text is taken for depends on its own windows alone, whatever shares their batches, and is the class with the
// highest mean of log-probabilities.
func TestAnswers(t *testing.T) {
	task := toy()
	p := untrained(t, task)
	c, err := scratch(5).config(p, task)
	require.NoError(t, err)
	f := newFinetuning(p, task, c)
	program := training.NewProgram(backendtest.Go(t), f)
	defer program.Close()
	require.NoError(t, program.Start(f))
	for step := 1; step <= 5; step++ {
		b, err := f.Batch(step - 1)
		require.NoError(t, err)
		out, err := program.Step(b, step)
		require.NoError(t, err)
		out.Release()
	}
	require.Greater(t, f.asked.Len(), len(task.Test), "some texts have several windows")

	all, err := f.answers(program, f.asked)
	require.NoError(t, err)
	means := make([][3]float64, len(task.Test))
	for row, w := range f.asked.windows {
		alone, err := f.answers(program, &Rows{windows: f.asked.windows[row : row+1], targets: f.asked.targets[row : row+1]})
		require.NoError(t, err)
		require.Len(t, alone[0], 3)
		require.InDeltaSlice(t, alone[0], all[row], 1e-5)
		sum := 0.0
		for class, v := range alone[0] {
			means[w.Text][class] += float64(v)
			sum += math.Exp(float64(v))
		}
		require.InDelta(t, 1, sum, 1e-5)
	}
	_, predicted := task.classify(f.asked, all)
	for text, class := range predicted {
		require.InDelta(t, slices.Max(means[text][:]), means[text][class], 1e-4)
	}
}

// A fine-tuning that is stopped, at any step, and gone on with is the one that was not, to the last bit, and so is one whose
// result was lost; another seed is another run beside it.
func TestStoppedFinetuningGoesOnExactly(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	p := untrained(t, task)
	p.Model.Config.Main.Dropout = 0.1
	options := scratch(12)
	whole, err := Finetune(t.Context(), runnerOn(t, be), p, task, options, nil)
	require.NoError(t, err)

	r := runnerOn(t, be)
	for _, stop := range []int{3, 4, 11} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err = Finetune(ctx, r, p, task, options, func(p training.Progress) {
			if p.Step == stop {
				cancel()
			}
		})
		require.ErrorIs(t, err, training.ErrInterrupted)
	}
	same := func(want, got Result) {
		want.Seconds, got.Seconds, want.Run, got.Run = 0, 0, nil, nil
		require.Equal(t, want, got)
	}
	resumed, err := Finetune(t.Context(), r, p, task, options, nil)
	require.NoError(t, err)
	same(whole, resumed)
	require.Equal(t, whole.Run.ID, resumed.Run.ID)

	require.NoError(t, os.Remove(resumed.Run.Path(runs.ResultFile))) // as if killed just before it was written
	again, err := Finetune(t.Context(), r, p, task, options, nil)
	require.NoError(t, err)
	same(whole, again)

	options.Seed = 1
	other, err := Finetune(t.Context(), r, p, task, options, nil)
	require.NoError(t, err)
	require.NotEqual(t, whole.Run.ID, other.Run.ID)
	require.FileExists(t, resumed.Run.Path(runs.ResultFile))
}

// A fine-tuning that is killed in the middle of a change that it makes to its files ends, when it is asked for again, with the
// result that it would have had.
func TestKilledAnywhereAFinetuningEndsTheSame(t *testing.T) {
	task, options := toy(), scratch(4)
	options.Set = []string{"training.log_every=2", "training.eval_every=4", "training.checkpoint_every=2"}
	r, p := runnerOn(t, backendtest.Go(t)), untrained(t, task)
	finetune := func() (result Result, err error) {
		result, err = Finetune(t.Context(), r, p, task, options, nil)
		result.Seconds, result.Run = 0, nil
		return result, err
	}
	whole, err := finetune()
	require.NoError(t, err)
	for at := 1; ; at += 29 { // of some 200 changes, for time
		r.Store = runs.Store{Root: t.TempDir()}
		changes, err := faultfs.Killed(at, func() error { _, err := finetune(); return err })
		if changes < at {
			require.NoError(t, err)
			t.Logf("%d changes", changes)
			break
		}
		require.NoError(t, faultfs.Bury(r.Store.Root))
		var resumed Result
		_, err = faultfs.Killed(math.MaxInt, func() (err error) { resumed, err = finetune(); return err })
		require.NoError(t, err, "killed at change %d", at)
		require.Equal(t, whole, resumed, "killed at change %d", at)
	}
}

// Accumulation gives the steps of whole batches, but for rounding, and what fine-tuning does not look at is refused.
func TestFinetuneSettings(t *testing.T) {
	be, task := backendtest.Go(t), toy()
	p, r := untrained(t, task), runnerOn(t, be)
	whole, err := Finetune(t.Context(), r, p, task, scratch(6), nil)
	require.NoError(t, err)
	parts := scratch(6)
	parts.Set = []string{"training.accumulate=3"}
	inParts, err := Finetune(t.Context(), r, p, task, parts, nil)
	require.NoError(t, err)
	require.InDelta(t, whole.Loss, inParts.Loss, 1e-5)
	require.NotEqual(t, whole.Run.ID, inParts.Run.ID)
	for _, assignment := range []string{"objective.rtd_weight=10", "generator.width=8", "masking.rate=0.3"} {
		parts.Set = []string{assignment}
		_, err := Finetune(t.Context(), r, p, task, parts, nil)
		require.ErrorContains(t, err, "is a setting of pretraining that fine-tuning does not look at")
		require.True(t, usererr.Is(err))
	}
	for _, assignment := range []string{
		"main.layers=2", "main.width=32", "main.activation=relu", "main.init=t5", "positions.relative=none", "embeddings.kind=bytes", "sharing=none", "main.feed_forward=moe",
	} {
		parts.Set = []string{assignment}
		_, err := Finetune(t.Context(), r, p, task, parts, nil)
		require.ErrorContains(t, err, "fine-tuning trains the pretrained model as it is", assignment)
		require.True(t, usererr.Is(err))
	}
}

// What is said twice is refused, and what follows from the number of steps gives way to what is set.
func TestFinetuneSettingsBesideOptions(t *testing.T) {
	task := toy()
	p := untrained(t, task)
	for assignment, o := range map[string]Options{
		"training.steps=7": {Steps: 2}, " training.steps =7": {Epochs: 2}, "training.batch_size=4": {BatchSize: 2}, "optimizer.learning_rate=1e-4": {LearningRate: 1e-3},
	} {
		o.Set = []string{assignment}
		_, err := o.config(p, task)
		require.ErrorContains(t, err, "leave one of the two out", assignment)
		require.True(t, usererr.Is(err))
	}
	_, err := Options{Epochs: 1e300}.config(p, task)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "1e+300 epochs of")
	c, err := Options{FromScratch: true, Epochs: 50, Warmup: 0.5, Set: []string{"training.eval_every=3", "optimizer.warmup_steps=2", "training.checkpoint_every=4"}}.config(p, task)
	require.NoError(t, err)
	require.Equal(t, []int{3, 2, 4}, []int{c.Training.EvalEvery, c.Optimizer.WarmupSteps, c.Training.CheckpointEvery})
	require.Greater(t, c.Training.Steps, 40)
	c, err = Options{FromScratch: true, Set: []string{"training.steps=30"}}.config(p, task)
	require.NoError(t, err)
	require.Equal(t, []int{30, 3, 30}, []int{c.Training.Steps, c.Optimizer.WarmupSteps, c.Training.EvalEvery})
}
