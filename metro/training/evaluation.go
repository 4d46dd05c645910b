// SPDX-License-Identifier: Apache-2.0

package training

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/runs"
)

// HeldOut is what a run is measured on: the same rows, masks, noise and fakes for every arm and seed. It depends on the text
// and on how it is cut into tokens and rows, and the frozen text of words on the text alone; never on the run's seed or batch.
type HeldOut struct {
	validation data.Loader // of one row a batch
	rows       int         // that are read of it
	frozen     map[string]data.Frozen
	text       *data.FrozenText
	packed     data.Packed
	sets       map[string]HeldOutSet
}

// HeldOutSet says what a set of held-out text is, for those who compare runs that were measured on it.
type HeldOutSet struct {
	// Fingerprint is a hash of the content. Numbers of runs with other fingerprints are not of the same set.
	Fingerprint string `json:"fingerprint"`

	Scored   int         `json:"scored,omitempty"`   // tokens, or words, that are counted
	Replaced int         `json:"replaced,omitempty"` // of these
	Trivial  runs.Values `json:"trivial,omitempty"`  // the AUC of scorers without a model, NaN where nothing is replaced; see [data.Trivial]
	Refused  string      `json:"refused,omitempty"`  // why there is no outcome, if there is none
}

// The keys of the held-out sets: the metric that each gives, and all metrics of the validation split.
const (
	FrozenUnigram = "frozen_auc_unigram" // tokens, with fakes drawn by their frequency
	FrozenBigram  = "frozen_auc_bigram"  // tokens, with fakes that go well with both neighbours
	FrozenTrigram = "frozen_auc_trigram" // tokens, with fakes of a fixed reference generator, which looks at two on either side
	FrozenWords   = "frozen_auc_words"   // words, for models that cut the same text in different ways
	Validation    = "val_"               // begins the names of those metrics
	Averaged      = "ema_"               // begins the names of what the averaged weights reach; see config field training.ema
)

// FrozenSet corrupts rows rows of d's test split as FrozenUnigram, FrozenBigram or FrozenTrigram has them, the same whenever it is asked.
func FrozenSet(d *data.Dataset, name string, rows int) (data.Frozen, error) {
	counts, err := d.Counts()
	if err != nil {
		return data.Frozen{}, err
	}
	var faker data.Faker
	switch name {
	case FrozenUnigram:
		faker = data.UnigramFaker{Counts: counts}
	case FrozenBigram:
		faker = data.BigramFaker{Counts: counts}
	case FrozenTrigram:
		if faker, err = data.NewTrigramFaker(counts, d.Train, d.Test, rows, data.FrozenRate, d.Maskable); err != nil {
			return data.Frozen{}, err
		}
	default:
		return data.Frozen{}, fmt.Errorf("there is no frozen set %q", name)
	}
	return data.Freeze(d.Test, rows, data.FrozenRate, d.Maskable, faker)
}

// NewHeldOut prepares the held-out sets of config on d: rows of the validation split for the losses and for RTD
// against the run's own generator, and three frozen sets on rows of the test split, with unigram fakes, with bigram
// fakes and with those of a fixed reference generator (see [data.BigramFaker] and [data.TrigramFaker]); config.Evaluation.Rows rows each, drawn at random. To these it adds text, the frozen text of
// d's corpus.
func NewHeldOut(config metro.Config, d *data.Dataset, text *data.FrozenText) (_ *HeldOut, err error) {
	h := &HeldOut{
		validation: loader(config, d, d.Validation), rows: config.Evaluation.Rows,
		frozen: map[string]data.Frozen{}, text: text, sets: map[string]HeldOutSet{},
	}
	h.validation.Seed, h.validation.Stream, h.validation.BatchSize = 0, "validation/", 1
	if err := d.Require(config.Training.BatchSize, h.rows); err != nil {
		return nil, err
	}
	for _, name := range []string{FrozenUnigram, FrozenBigram, FrozenTrigram} {
		set, err := FrozenSet(d, name, h.rows)
		if err != nil {
			return nil, err
		}
		trivial, err := d.Trivial(set)
		if err != nil {
			return nil, err
		}
		h.frozen[name] = set
		h.sets[name] = describe(set.Fingerprint(d.Tokenizer.Hash()), trivial, set.Answers)
	}
	h.sets[FrozenWords] = describe(text.Fingerprint(), text.Trivial, text.Answers)
	if h.packed, err = text.Pack(d.Tokenizer, config.Data.SeqLen); err != nil {
		set := h.sets[FrozenWords]
		set.Refused = err.Error()
		h.sets[FrozenWords] = set
	}
	h.sets[Validation], err = h.describeValidation(d.Tokenizer.Hash())
	return h, err
}

// describe says what a frozen set is, whose answers keeps what is counted.
func describe(fingerprint string, trivial data.Trivial, answers func([]float32) ([]float32, []bool)) HeldOutSet {
	set := HeldOutSet{Fingerprint: fingerprint, Trivial: runs.Values{}}
	for name, scores := range trivial {
		kept, replaced := answers(scores)
		set.Scored, set.Replaced = len(kept), 0
		if auc := AUC(kept, replaced); !math.IsNaN(auc) { // as it is where nothing was replaced
			set.Trivial[name] = auc
		}
		for _, r := range replaced {
			if r {
				set.Replaced++
			}
		}
	}
	return set
}

// describeValidation hashes the validation rows.
func (h *HeldOut) describeValidation(tokenizer string) (HeldOutSet, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, tokenizer, h.validation.Rows.SeqLen)
	for i := range h.rows {
		batch, err := h.validation.Batch(i)
		if err != nil {
			return HeldOutSet{}, err
		}
		if err := binary.Write(sum, binary.LittleEndian, batch.Tokens); err != nil {
			return HeldOutSet{}, err
		}
	}
	return HeldOutSet{Fingerprint: hex.EncodeToString(sum.Sum(nil))}, nil
}

// Sets says what the sets are, by the metric that each gives; [Validation] stands for all of the validation split.
func (h *HeldOut) Sets() map[string]HeldOutSet { return maps.Clone(h.sets) }

// groupTokens bounds the tokens that are measured at a time. The groups do not depend on the batch of training, so that
// neither do the last bits of a score, nor a loss that compares the rows of a group.
const groupTokens = 2048

// group is how many rows of seqLen tokens are measured at a time.
func group(seqLen int) int { return max(1, groupTokens/seqLen) }

// Evaluate measures the model as it stands: val_* from the validation rows, frozen_auc_* on the frozen sets.
func (h *HeldOut) Evaluate(p *Program) (runs.Values, error) {
	w, ok := p.workload.(*Pretraining)
	if !ok {
		return nil, fmt.Errorf("held-out sets measure pretraining, not %T", p.workload)
	}
	metrics, err := h.validate(w, p)
	if err != nil {
		return nil, err
	}
	for name, set := range h.frozen {
		scores, err := w.Detect(p, set.Corrupted)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		metrics[name] = AUC(set.Answers(scores))
	}
	if err := w.measureExits(p, h.frozen[FrozenUnigram], metrics); err != nil {
		return nil, fmt.Errorf("early exits: %w", err)
	}
	if h.sets[FrozenWords].Refused == "" {
		scores, err := w.Detect(p, h.packed.Rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", FrozenWords, err)
		}
		metrics[FrozenWords] = AUC(h.text.Answers(h.packed.Words(scores)))
	}
	return metrics, nil
}

// eachGroup visits the validation rows in groups of like size, with the number of the first.
func (h *HeldOut) eachGroup(visit func(first int, batch data.Batch) error) error {
	most := group(h.validation.Rows.SeqLen)
	groups := (h.rows + most - 1) / most
	for i := range groups {
		var rows []data.Batch
		first := i * h.rows / groups
		for k := first; k < (i+1)*h.rows/groups; k++ {
			row, err := h.validation.Batch(k)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		if err := visit(first, data.Join(rows...)); err != nil {
			return err
		}
	}
	return nil
}

// validate measures the validation rows.
func (h *HeldOut) validate(w *Pretraining, p *Program) (runs.Values, error) {
	var tally metro.Tally
	var logits []float32
	var replaced []bool
	err := h.eachGroup(func(first int, batch data.Batch) (err error) {
		if w.stored != nil {
			if batch.Samples, err = w.stored.HeldOutRows(first, batch.Positions, batch.Weights); err != nil {
				return err
			}
		}
		out, err := w.Validate(p, batch)
		if err != nil {
			return err
		}
		t, _, err := out.Tally()
		if err != nil {
			return err
		}
		z, y, err := out.Detections(w.ordinary)
		if err != nil {
			return err
		}
		out.Release()
		tally, logits, replaced = tally.Add(t), append(logits, z...), append(replaced, y...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	metrics := runs.Values{}
	if logits != nil {
		metrics["val_rtd_auc"] = AUC(logits, replaced)
	}
	for name, v := range tally.Metrics() {
		metrics[Validation+name] = v
	}
	return metrics, nil
}

// Detect scores the tokens of corrupted rows, [N, S] row-major; see [metro.Model.Detect].
func (w *Pretraining) Detect(p *Program, rows []int32) ([]float32, error) {
	scores, err := w.over(p, rows, "detect", func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{p.model.Detect(scope, in[0], in[1])}
	})
	if err != nil {
		return nil, err
	}
	return scores[0], nil
}

// over runs the graph of a name on rows, [N, S] row-major, and returns its outputs, [N, S] each. It is given a group of rows, the scale
// of the relative position bias, and more.
func (w *Pretraining) over(p *Program, rows []int32, name string, build func(scope *model.Scope, in []*Node) []*Node, more ...any) (all [][]float32, err error) {
	c := w.model.Config
	size := group(c.Data.SeqLen) * c.Data.SeqLen
	for at := 0; at < len(rows); at += size {
		some := make([]int32, size) // the last rows are filled up with others, whose scores are dropped
		n := copy(some, rows[at:])
		for k := n; k < size; k++ {
			some[k] = some[k%n]
		}
		in := append([]any{slab(some, 0, group(c.Data.SeqLen), c.Data.SeqLen), tensors.FromScalar(float32(c.Positions.Scale))}, more...)
		out, err := p.Call(name, build, in...)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = make([][]float32, len(out))
		}
		for i, t := range out {
			values, err := tensors.CopyFlatData[float32](t)
			t.MustFinalizeAll()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			all[i] = append(all[i], values[:n]...)
		}
	}
	return all, nil
}

func loader(c metro.Config, d *data.Dataset, rows *data.Rows) data.Loader {
	keep, random, err := c.Masking.Shares()
	if err != nil {
		panic(err) // the config is valid here
	}
	return data.Loader{
		Rows: rows, Mixed: d.Mixed, Seed: c.Seed, Stream: "train/", Shuffle: true, BatchSize: c.Training.BatchSize,
		Slots: c.MaskedPositions(), MaskID: d.MaskID, Maskable: d.Maskable, Continues: d.Continues, Vocab: d.Vocab,
		Masking: data.Masking{Rate: c.Masking.Rate, Keep: keep, Random: random, Pattern: c.MaskPattern()},
	}
}
