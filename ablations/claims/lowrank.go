// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"metrolab/ablations"
	"metrolab/internal/machine"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/compress"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

// lowRank is an arm that trains nothing: the baseline's models with some of their matrices of low rank. Each model chooses its
// rank on one half of the frozen set that is the study's outcome, and what the arm is worth is read on the other half.
type lowRank struct {
	Name  string         `json:"name"`
	Study compress.Study `json:"study"`
}

// lowRankFile is the file in a study's folder that keeps what low rank has done.
const lowRankFile = "lowrank.json"

// lowRankFound is what it holds.
type lowRankFound struct {
	Set  string               `json:"set"` // that rows are of
	Arms []lowRank            `json:"arms"`
	Runs map[string]lowRankOf `json:"runs"` // by ID
}

// lowRankOf is what it has done to the model of one run.
type lowRankOf struct {
	Difference map[string]float64 `json:"difference"` // in the outcome, to the model as it is, by arm
	Rank       map[string]int     `json:"rank"`       // that was chosen
	Processor  float64            `json:"processor_seconds"`
}

// parseLowRank reads one arm.
func (c *Claim) parseLowRank(n *yaml.Node) error {
	arm, method, layers := lowRank{}, "", ""
	texts := map[string]*string{"name": &arm.Name, "target": &arm.Study.Target, "method": &method, "layers": &layers}
	err := c.document.Keys(n, []string{"name", "target", "method", "layers", "ranks"}, func(key string, value *yaml.Node) (err error) {
		if texts[key] != nil {
			*texts[key], err = c.document.Text(value)
			return err
		}
		return c.document.List(value, func(rank *yaml.Node) error {
			r, err := c.document.Whole(rank)
			if err == nil && r < 1 {
				err = c.document.Fault(rank, "a rank is 1 or more, not %d", r)
			}
			arm.Study.Ranks = append(arm.Study.Ranks, int(r))
			return err
		})
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.lowRank, func(a lowRank) bool { return a.Name == arm.Name }) || arm.Name == "" || arm.Name == ablations.BaselineName {
		return c.document.Fault(n, "every arm needs a name of its own, %q is not", arm.Name)
	}
	if !slices.Contains(compress.Methods, method) || !slices.Contains(compress.Targets, arm.Study.Target) || len(arm.Study.Ranks) == 0 {
		return c.document.Fault(n, "an arm of low rank has a method of %q, a target of %q, and ranks", compress.Methods, compress.Targets)
	}
	arm.Study.Methods, arm.Study.Layers = []string{method}, []string{layers}
	c.lowRank = append(c.lowRank, arm)
	return nil
}

// MeasureLowRank compresses the models of the study's runs that have ended as the claim's arms of low rank ask, and keeps what
// that does in the study's folder, model by model, so that another call goes on where one stopped. A claim without such arms
// has nothing to measure. progress hears of models done and their number.
func (c Claim) MeasureLowRank(ctx context.Context, runner *training.Runner, r ablations.Results, progress func(done, total int)) error {
	if len(c.lowRank) == 0 {
		return nil
	}
	found, err := c.readLowRank(r)
	if err != nil {
		return err
	}
	pending := slices.DeleteFunc(slices.Clone(r.Runs), func(run ablations.Run) bool {
		_, measured := found.Runs[run.ID]
		return measured || !run.Ended || run.Result.Diverged != ""
	})
	if len(pending) == 0 {
		return nil
	}
	halves, err := halvesOf(ctx, runner, r.Study)
	if err != nil {
		return err
	}
	for i, run := range pending {
		if progress != nil {
			progress(i, len(pending))
		}
		dir := filepath.Join(r.Store.Root, run.ID)
		if found.Runs[run.ID], err = c.measureLowRank(ctx, runner, halves, dir); err != nil {
			return fmt.Errorf("low rank of run %s: %w", dir, err)
		}
		if err := runs.WriteJSON(filepath.Join(r.Store.Root, r.Study.Name, lowRankFile), found); err != nil {
			return err
		}
	}
	return nil
}

// halvesOf divides the frozen set that is a study's outcome.
func halvesOf(ctx context.Context, runner *training.Runner, s ablations.Study) (*compress.Halves, error) {
	dataset, err := runner.Dataset(ctx, s.Baseline, nil)
	if err != nil {
		return nil, err
	}
	set, err := training.FrozenSet(dataset, s.Outcome.Metric, s.Baseline.Evaluation.Rows)
	if err != nil {
		return nil, err
	}
	return compress.NewHalves(set)
}

// measureLowRank scores one model in all arms.
func (c Claim) measureLowRank(ctx context.Context, runner *training.Runner, halves *compress.Halves, dir string) (of lowRankOf, err error) {
	before := machine.ProcessorTime()
	model, err := training.LoadPretrained(dir)
	if err != nil {
		return of, err
	}
	opened, err := model.Source()
	if err != nil {
		return of, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	config := model.Model.Config
	src, err := weights.As(opened, config, metro.Describe(config, model.Model.Vocab))
	if err != nil {
		return of, err
	}
	detector, err := compress.NewDetector(runner.Backend, src, halves)
	if err != nil {
		return of, err
	}
	defer detector.Close()
	of = lowRankOf{Difference: map[string]float64{}, Rank: map[string]int{}}
	for _, arm := range c.lowRank {
		choice, err := arm.choose(ctx, detector, halves, src)
		if err != nil {
			return of, err
		}
		of.Difference[arm.Name], of.Rank[arm.Name] = choice.Reported, choice.Ranks[0]
	}
	of.Processor = (machine.ProcessorTime() - before).Seconds()
	return of, nil
}

// choose is the arm at the rank that the model chooses.
func (a lowRank) choose(ctx context.Context, d *compress.Detector, halves *compress.Halves, src weights.Source) (compress.Choice, error) {
	scores, err := a.Study.Score(ctx, d, src, nil)
	if err != nil {
		return compress.Choice{}, fmt.Errorf("arm %q: %w", a.Name, err)
	}
	return a.Study.Summarise(halves, []*compress.Scores{scores}).Chosen[0], nil
}

// readLowRank reads what has been measured in a study's folder. What was measured of other arms, or on another set, is nothing.
func (c Claim) readLowRank(r ablations.Results) (found lowRankFound, err error) {
	err = runs.ReadJSON(filepath.Join(r.Folder(), lowRankFile), &found)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	set := r.Study.Outcome.Metric
	if !reflect.DeepEqual(found.Arms, c.lowRank) || found.Set != set || found.Runs == nil {
		found = lowRankFound{set, c.lowRank, map[string]lowRankOf{}}
	}
	return found, nil
}

// LowRank says what each arm of low rank is, a line each.
func (c Claim) LowRank() (lines []string) {
	for _, arm := range c.lowRank {
		s := arm.Study
		ranks := strings.ReplaceAll(strings.Trim(fmt.Sprint(s.Ranks), "[]"), " ", ", ")
		lines = append(lines, fmt.Sprintf("%s: the baseline's models after %s of target=%s layers=%s, at the best rank of %s", arm.Name, s.Methods[0], s.Target, s.Layers[0], ranks))
	}
	return lines
}

// contrast is the claim's at each seed, and what the measuring of low rank took, in processor seconds.
func (c Claim) contrast(r ablations.Results) (o ablations.Outcomes, processor float64, err error) {
	if len(c.lowRank) == 0 {
		return r.Contrast(c.ID, c.Contrast), 0, nil
	}
	found, err := c.readLowRank(r)
	if err != nil {
		return o, 0, err
	}
	o = r.Contrast(c.ID, ablations.Contrast{ablations.BaselineName: 1})
	missing := 0
	for _, run := range r.Runs {
		if value, ended := o.BySeed[run.Seed]; !ended || math.IsNaN(value) {
			continue
		}
		of, measured := found.Runs[run.ID]
		if !measured {
			delete(o.BySeed, run.Seed)
			missing++
			continue
		}
		processor += of.Processor
		o.BySeed[run.Seed] = 0 // of the baseline, from which the arms' differences are
		for _, arm := range slices.Sorted(maps.Keys(of.Difference)) {
			o.BySeed[run.Seed] += c.Contrast[arm] * of.Difference[arm]
		}
	}
	if missing > 0 {
		o.Withheld = cmp.Or(o.Withheld, fmt.Sprintf(ablations.Interim+"low rank is measured of %d of %d models", len(o.BySeed), len(o.BySeed)+missing))
	}
	return o, processor, nil
}

// checkLowRank refuses arms of low rank beside what they cannot stand beside.
func (c Claim) checkLowRank(study ablations.Study) error {
	switch {
	case len(c.lowRank) == 0:
		return nil
	case len(study.Changes) > 0 || study.Finetune != nil:
		return usererr.New("arms of low rank are of the baseline's models as they were pretrained, beside no other arm and no fine-tuning")
	case !strings.HasPrefix(study.Outcome.Metric, "frozen_auc_") || study.Outcome.Metric == training.FrozenWords:
		return usererr.New("arms of low rank are measured on a frozen set of tokens, not by %s", study.Outcome.Metric)
	}
	for _, v := range c.Variants() {
		study, err := c.Study(v)
		if err != nil {
			return err
		}
		for _, arm := range c.lowRank {
			if err := arm.Study.Check(untrained{study.Baseline}); err != nil {
				return usererr.New("arm %q at %s: %w", arm.Name, v, err)
			}
		}
	}
	return nil
}

// untrained is a model of a config before there is any: it has the shapes of its weights, and no values.
type untrained struct{ config metro.Config }

// String implements [weights.Source].
func (u untrained) String() string { return "the baseline's model" }

// Model implements [weights.Source].
func (u untrained) Model() metro.Model {
	return metro.Model{Config: u.config, Vocab: u.config.Data.VocabSize}
}

// Tensors implements [weights.Source].
func (u untrained) Tensors() (list []weights.Tensor) {
	for _, w := range metro.Describe(u.config, u.config.Data.VocabSize) {
		list = append(list, weights.Tensor{Name: w.Tensor(), Shape: w.Shape})
	}
	return list
}

// Read implements [weights.Source].
func (u untrained) Read(name string, _ []float32) error {
	return fmt.Errorf("%s has no values of %s: nobody has trained it", u, name)
}

// Close implements [weights.Source].
func (u untrained) Close() error { return nil }
