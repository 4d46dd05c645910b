// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/runs"
)

// HeldOut is what a run is measured on. It depends on the data and on the shape of a batch, never on the run's seed:
// the same rows, masks and noise for every arm and seed.
type HeldOut struct {
	validation data.Loader
	batches    int
	frozen     map[string]data.Frozen // by the name of its fakes
}

// NewHeldOut prepares the held-out sets of config on d: rows of the validation split for the losses and for RTD
// against the run's own generator, and two frozen sets on rows of the test split, with unigram fakes and with bigram
// fakes (see [data.BigramFaker]).
func NewHeldOut(config metro.Config, d *data.Dataset) (*HeldOut, error) {
	h := &HeldOut{validation: loader(config, d, d.Validation), frozen: map[string]data.Frozen{}}
	h.validation.Seed, h.validation.Stream, h.validation.Shuffle = 0, "validation/", false
	h.batches = config.Evaluation.Rows / config.Training.BatchSize
	rows := h.batches * config.Training.BatchSize
	if err := d.Require(config.Training.BatchSize, rows); err != nil {
		return nil, err
	}
	counts, err := d.Counts()
	if err != nil {
		return nil, err
	}
	for name, faker := range map[string]data.Faker{"unigram": data.UnigramFaker{Counts: counts}, "bigram": data.BigramFaker{Counts: counts}} {
		if h.frozen[name], err = data.Freeze(d.Test, rows, frozenRate, d.Maskable, faker); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// frozenRate is the part of tokens that the fakers draw anew, the same for every config.
const frozenRate = 0.15

// Evaluate measures the model as it stands: val_* from the validation rows, frozen_auc_* on the frozen sets.
func (h *HeldOut) Evaluate(p *Program) (runs.Values, error) {
	w, ok := p.workload.(*Pretraining)
	if !ok {
		return nil, fmt.Errorf("held-out sets measure pretraining, not %T", p.workload)
	}
	var tally metro.Tally
	var logits []float32
	var replaced []bool
	for i := range h.batches {
		batch, err := h.validation.Batch(i)
		if err != nil {
			return nil, err
		}
		out, err := w.Validate(p, batch)
		if err != nil {
			return nil, err
		}
		t, _, err := out.Tally()
		if err != nil {
			return nil, err
		}
		z, y, err := out.Detections()
		if err != nil {
			return nil, err
		}
		out.Release()
		tally, logits, replaced = tally.Add(t), append(logits, z...), append(replaced, y...)
	}
	metrics := runs.Values{}
	if logits != nil {
		metrics["val_rtd_auc"] = AUC(logits, replaced)
	}
	for name, v := range tally.Metrics() {
		metrics["val_"+name] = v
	}
	for name, set := range h.frozen {
		auc, err := w.frozenAUC(p, set)
		if err != nil {
			return nil, fmt.Errorf("frozen %s set: %w", name, err)
		}
		metrics["frozen_auc_"+name] = auc
	}
	return metrics, nil
}

func (w *Pretraining) frozenAUC(p *Program, set data.Frozen) (float64, error) {
	size := w.model.Config.Training.BatchSize * set.SeqLen
	var logits []float32
	for at := 0; at < len(set.Corrupted); at += size {
		z, err := w.Detect(p, set.Corrupted[at:at+size])
		if err != nil {
			return 0, err
		}
		logits = append(logits, z...)
	}
	return AUC(logits, set.Replaced), nil
}

// Detect scores the tokens of one batch of corrupted rows, [B, S] row-major; see [metro.Model.Detect].
func (w *Pretraining) Detect(p *Program, rows []int32) ([]float32, error) {
	c := w.model.Config
	detect := func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{p.model.Detect(scope, in[0], in[1])}
	}
	var scores []float32
	for part := range c.Training.Accumulate {
		out, err := p.Call("detect", detect, slab(rows, part, partRows(c), c.Data.SeqLen), tensors.FromScalar(float32(c.Positions.Scale)))
		if err != nil {
			return nil, err
		}
		values, err := tensors.CopyFlatData[float32](out[0])
		out[0].MustFinalizeAll()
		if err != nil {
			return nil, fmt.Errorf("detect: %w", err)
		}
		scores = append(scores, values...)
	}
	return scores, nil
}

func loader(c metro.Config, d *data.Dataset, rows *data.Rows) data.Loader {
	keep, random, err := c.Masking.Shares()
	if err != nil {
		panic(err) // the config is valid here
	}
	return data.Loader{
		Rows: rows, Seed: c.Seed, Stream: "train/", Shuffle: true, BatchSize: c.Training.BatchSize,
		Slots: c.MaskedPositions(), MaskID: d.MaskID, Maskable: d.Maskable, Continues: d.Continues, Vocab: d.Vocab,
		Masking: data.Masking{Rate: c.Masking.Rate, Keep: keep, Random: random, Pattern: c.MaskPattern()},
	}
}
