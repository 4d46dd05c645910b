// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"slices"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/training"
	"metrolab/metro/weights"
)

// exits runs a detector whose tokens leave before the last layer (see [metro.Model.DetectEarly]), in a compiled part up to each head,
// and stops behind the part after which enough of a batch's tokens have left.
type exits struct {
	threshold, share float64
	ends             []int         // the layers that the parts end with
	parts            []*model.Exec // each reads what the one before has left
	kept             [][]int32     // the first batches, to measure on
	said             Exits
}

// Exits are what a [Reader] with early exits has done so far.
type Exits struct {
	Layers         int // of the model
	Tokens         int // that were answered
	TokenLayers    int // that these tokens went through: theoretical, since the layers that are computed are so for a whole batch
	Batches        int
	ComputedLayers int // of all batches, in which most tokens have left behind the last of them
}

// MeanDepth is the mean number of layers before a token left.
func (e Exits) MeanDepth() float64 { return float64(e.TokenLayers) / float64(max(1, e.Tokens)) }

// Theoretical is the part of all token-layers that tokens went through.
func (e Exits) Theoretical() float64 { return e.MeanDepth() / float64(e.Layers) }

// Computed is the part of all layers that was computed, batch by batch.
func (e Exits) Computed() float64 {
	return float64(e.ComputedLayers) / float64(max(1, e.Batches)*e.Layers)
}

// checkExits returns the user's error for a model that tokens cannot leave early.
func checkExits(p training.Pretrained, heads []string, o ReaderOptions) error {
	switch c := p.Model.Config; {
	case o.Hidden:
		return usererr.New("states of the last layer are those of tokens that have gone through all; leave out --hidden, or --exit")
	case !(o.Share > 0 && o.Share <= 1):
		return usererr.New("--exit-share must be above 0, at most 1, it is %g", o.Share)
	case len(c.ExitLayers()) == 0 || !slices.Contains(heads, "rtd"):
		return usererr.New("%s has no RTD heads below the last layer, at which tokens could leave (objective.name=%s); train one by objective.name=rtd_clm_exits, or leave out --exit", p.Dir, c.Objective.Name)
	}
	return nil
}

// newExits builds the parts over the variables of store.
func newExits(be compute.Backend, store *model.Store, m metro.Model, o ReaderOptions) (*exits, error) {
	e := &exits{threshold: o.Exit, share: o.Share, ends: m.EarlyParts(), said: Exits{Layers: m.Config.Main.Layers}}
	for part := range e.ends {
		exec, err := model.NewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
			var at metro.Exits
			if part > 0 {
				at = metro.Exits{States: in[2], Logits: in[3], Depth: in[4], Left: in[5]}
			}
			at = m.DetectEarlyPart(scope, in[0], Scalar(in[0].Graph(), dtypes.Float32, m.Config.Positions.Scale), in[1], part, at)
			return []*Node{at.States, at.Logits, at.Depth, at.Left}
		})
		if err != nil {
			return nil, fmt.Errorf("prepare the layers up to %d: %w", e.ends[part], err)
		}
		e.parts = append(e.parts, exec)
	}
	return e, nil
}

// detect runs rows of tokens, [B, S] row-major, of which those that counted is true of decide when to stop. It returns a logit and a
// depth for each, and the number of layers that were computed.
func (e *exits) detect(tokens []int32, rows int, counted []bool) (logits []float32, depths []int32, layers int, err error) {
	input := tensors.FromFlatDataAndDimensions(tokens, rows, len(tokens)/rows)
	defer input.MustFinalizeAll()
	args := []any{input, float32(e.threshold)}
	var out []*tensors.Tensor
	defer func() {
		for _, t := range out {
			t.MustFinalizeAll()
		}
	}()
	for part, exec := range e.parts {
		next, err := exec.Call(args...)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("read up to layer %d: %w", e.ends[part], err)
		}
		for _, t := range out {
			t.MustFinalizeAll()
		}
		out, layers = next, e.ends[part]
		if part == len(e.parts)-1 {
			break
		}
		left, err := tensors.CopyFlatData[bool](out[3])
		if err != nil {
			return nil, nil, 0, fmt.Errorf("read which tokens have left: %w", err)
		}
		if enough(left, counted, e.share) {
			break
		}
		args = []any{input, float32(e.threshold), out[0], out[1], out[2], out[3]}
	}
	if logits, err = tensors.CopyFlatData[float32](out[1]); err == nil {
		depths, err = tensors.CopyFlatData[int32](out[2])
	}
	return logits, depths, layers, err
}

// enough reports whether a share of what is counted has left.
func enough(left, counted []bool, share float64) bool {
	gone, all := 0, 0
	for i, c := range counted {
		if c {
			all++
			if left[i] {
				gone++
			}
		}
	}
	return float64(gone) >= share*float64(all)
}

// readEarly reads a batch of windows, tokens being their rows, with early exits.
func (r *Reader) readEarly(readings []Reading, windows []data.Window, tokens []int32) error {
	s, e := r.model.Config.Data.SeqLen, r.exits
	logits, depths, layers, err := e.detect(tokens, readerBatch, r.counted(tokens, len(windows)))
	if err == nil {
		err = weights.Finite(logits)
	}
	if err != nil {
		return usererr.New("%s: %w", r.name, err)
	}
	if len(e.kept) < keptBatches {
		e.kept = append(e.kept, tokens)
	}
	e.said.Batches, e.said.ComputedLayers = e.said.Batches+1, e.said.ComputedLayers+layers
	for i, w := range windows {
		reading := &readings[w.Text]
		for t := w.From; t < w.To; t++ {
			at := i*s + w.Place(t)
			set(&reading.RTDLogits, len(reading.IDs), t, logits[at])
			set(&reading.ExitLayers, len(reading.IDs), t, depths[at])
			e.said.Tokens, e.said.TokenLayers = e.said.Tokens+1, e.said.TokenLayers+int(depths[at])
		}
	}
	return nil
}

// counted are the real tokens of the first rows.
func (r *Reader) counted(tokens []int32, rows int) []bool {
	counted := make([]bool, len(tokens))
	for i := range rows * r.model.Config.Data.SeqLen {
		counted[i] = tokens[i] != r.model.PadID
	}
	return counted
}

// Exits says what early exits have done so far. It panics where the reader has none.
func (r *Reader) Exits() Exits { return r.exits.said }

// keptBatches and timedRounds bound what is measured.
const (
	keptBatches = 4
	timedRounds = 7
)

// TimeExits times the first batches that were read with early exits and through all layers, in turns, and returns by round what the
// former took as a part of the latter. It is nothing where no batch was read.
func (r *Reader) TimeExits() (ratios []float64, err error) {
	early := func(tokens []int32) error {
		_, _, _, err := r.exits.detect(tokens, readerBatch, r.counted(tokens, readerBatch))
		return err
	}
	full := func(tokens []int32) error {
		out, err := r.exec.Call(tensors.FromFlatDataAndDimensions(tokens, readerBatch, r.model.Config.Data.SeqLen))
		if err != nil {
			return err
		}
		defer out[0].MustFinalizeAll()
		_, err = tensors.CopyFlatData[float32](out[0])
		return err
	}
	times := func(run func(tokens []int32) error) (float64, error) {
		begin := time.Now()
		for _, tokens := range r.exits.kept {
			if err := run(tokens); err != nil {
				return 0, err
			}
		}
		return time.Since(begin).Seconds(), nil
	}
	for round := range timedRounds + 1 { // the first compiles
		if len(r.exits.kept) == 0 {
			break
		}
		var took [2]float64
		for i := range took {
			which := (i + round) % 2 // each goes first in its turn
			if took[which], err = times([]func([]int32) error{early, full}[which]); err != nil {
				return nil, fmt.Errorf("time early exits: %w", err)
			}
		}
		if round > 0 {
			ratios = append(ratios, took[0]/took[1])
		}
	}
	slices.Sort(ratios)
	return ratios, nil
}
