// SPDX-License-Identifier: Apache-2.0

package plan

import (
	_ "embed"
	"encoding/json"
	"slices"

	"metrolab/layers"
	"metrolab/metro"
)

// Compiler is who compiles a step for a device.
type Compiler string

// The compilers that there are coefficients of.
const (
	XLACPU  Compiler = "xla-cpu"
	XLACUDA Compiler = "xla-cuda"
)

// coefficients say how many buffers of a kind XLA keeps at the moment when a step needs most, for one compiler and one precision.
// They are fitted to what was compiled; see fit_test.go and testdata/compiled.json. A buffer is counted as if it were float32.
type coefficients struct {
	Hidden     float64 `json:"hidden"`     // a layer's of [B, S, H]: what it reads, queries, keys, values, what is normalised, …
	Inner      float64 `json:"inner"`      // a layer's of [B, S, FFN], around the activation
	Attention  float64 `json:"attention"`  // a layer's of [B, N, S, S], around the softmax
	Vocabulary float64 `json:"vocabulary"` // a vocabulary head's of [B, P, V]
	Table      float64 `json:"table"`      // a vocabulary head's of the token table: its gradient is the sum of one from each
	Kept       float64 `json:"kept"`       // a layer's of [B, S, H] that checkpointing keeps

	Records      int `json:"records"`      // compiled steps that they are fitted to
	Checkpointed int `json:"checkpointed"` // of these, those with activation checkpointing
}

//go:embed coefficients.json
var coefficientsText []byte

// fitted are the coefficients by compiler and precision.
var fitted = func() (all map[Compiler]map[string]coefficients) {
	if err := json.Unmarshal(coefficientsText, &all); err != nil {
		panic(err) // a test would have said so
	}
	return all
}()

// precision names the coefficients of c: the dtype of its products and, if that is another, of its activations.
func precision(c metro.Config) string {
	switch {
	case c.Training.MatMul != metro.MatMulBFloat16:
		return metro.MatMulFloat32
	case c.Training.Activations == metro.ActivationsBFloat16:
		return "bfloat16 activations"
	default:
		return metro.MatMulBFloat16
	}
}

// buffers are the bytes of a step's buffers by their kinds, each as often as there are layers or heads that keep it. What a
// coefficient counts, it multiplies.
type buffers struct {
	hidden, inner, attention, vocabulary, table float64
	layer                                       [3]float64 // hidden, inner and attention of the largest layer alone
	gradients                                   float64    // of all weights that learn but the token table
	routed                                      float64    // that carry tokens to experts and back, once each
	pooled                                      float64    // inside byte-pooled embedders
	checkpointing                               bool
}

// ofTwoPasses is how much of the shorter of two passes that no gradient joins is there when a step needs most: XLA has done a part of
// the one when it begins with the other. It is by eye, from four steps that XLA compiled for the processor.
const ofTwoPasses = 0.6

// buffersOf counts those of c, whose rows are those of one device.
func buffersOf(c metro.Config, inv metro.Inventory) buffers {
	const float = 4
	rows := float64(c.Training.BatchSize / max(1, c.Training.Accumulate))
	b := buffers{checkpointing: c.Training.ActivationCheckpointing}
	add := func(reader metro.Owner, tokens int, n float64) { // of a row, and how much of the run is kept
		c, e, length := c, c.Main, float64(tokens)
		c.Data.SeqLen = tokens
		if reader == metro.OwnerGenerator {
			e = c.Generator
		}
		hidden, inner := float*rows*length*float64(e.Width), float*rows*length*float64(e.FFN)
		if r, ok := c.Routed(reader, true); ok { // guesses: nothing was compiled that they could be fitted to
			inner = float * r.All * float64(e.FFN)
			b.routed += n * float64(e.Layers) * float * (2*r.Carriers + 2*r.All*float64(e.Width))
		}
		attention := float * rows * float64(e.Heads) * length * length
		n *= float64(e.Layers)
		b.hidden, b.inner, b.attention = b.hidden+n*hidden, b.inner+n*inner, b.attention+n*attention
		if one := [3]float64{hidden, inner, attention}; one[0]+one[1]+one[2] > b.layer[0]+b.layer[1]+b.layer[2] {
			b.layer = one
		}
	}
	lengths := c.MainRuns()
	slices.Sort(lengths)
	for i, tokens := range lengths {
		share := 1.0
		if c.HeadRuns() > 1 && i == 0 {
			share = ofTwoPasses
		}
		add(metro.OwnerMain, tokens, share)
	}
	generator := inv.HeadOf(metro.OwnerGenerator, metro.HeadGenerator)
	switch {
	case len(generator) == 0 || generator[0].Frozen: // keeps nothing
	case c.Sharing == metro.SharingAll:
		add(metro.OwnerMain, c.Data.SeqLen, 1)
	default:
		add(metro.OwnerGenerator, c.Data.SeqLen, 1)
	}
	if pool, ok := c.BytePool(c.Data.VocabSize); ok { // a guess, as of experts: 28·b is inside the maps, about the activation; 7·b are the states, eight times
		b.pooled = float * float64(pool.Vocab*pool.Bytes) * float64((2*28+8*7)*pool.ByteWidth)
		if len(generator) > 0 && !generator[0].Frozen && (c.Sharing == metro.SharingNone || c.Sharing == metro.SharingGDES) {
			b.pooled *= 2 // one for each model
		}
	}
	var vocabulary []float64 // positions of the heads that end in a product with the token table
	slots := rows * float64(c.MaskedPositions())
	if len(generator) > 0 && !generator[0].Frozen {
		vocabulary = append(vocabulary, slots)
	}
	if len(inv.HeadOf(metro.OwnerMain, metro.HeadCLM)) > 0 {
		vocabulary = append(vocabulary, slots)
	}
	if len(inv.HeadOf(metro.OwnerMain, metro.HeadLM)) > 0 {
		if c.Objective.Name == "all_token_lm" {
			slots = rows * float64(c.Data.SeqLen)
		}
		vocabulary = append(vocabulary, slots)
	}
	for _, positions := range vocabulary {
		b.vocabulary += float * positions * float64(c.Data.VocabSize)
	}
	for _, w := range inv.Learning() {
		switch bytes := float64(float * w.Size()); {
		case w.Role == layers.RoleTable && len(w.Shape) > 0 && w.Shape[0] == c.Data.VocabSize:
			b.table += bytes * float64(max(1, len(vocabulary)+c.HeadRuns()-1))
		default:
			b.gradients += bytes
		}
	}
	return b
}

// bytes is the most that a step needs at a time: at the end of the forward pass, when all is kept that the gradient needs, and the
// heads work; in the backward pass, when the token table has its gradients and a layer is computed again; or at its own end, when all
// gradients are there and the step is clipped and made. held is the part of the gradients that a device holds.
func (b buffers) bytes(k coefficients, held float64) float64 {
	kept, own := k.Hidden*b.hidden+k.Inner*b.inner+k.Attention*b.attention+b.routed+b.pooled, 0.0
	if b.checkpointing {
		kept, own = k.Kept*b.hidden+b.pooled, k.Hidden*b.layer[0]+k.Inner*b.layer[1]+k.Attention*b.layer[2]+b.routed
	}
	return max(kept+k.Vocabulary*b.vocabulary, kept+own+k.Table*b.table, held*(b.gradients+k.Table*b.table))
}

// Temporaries estimates the memory that XLA needs for a step of c beside its variables and inputs, on one device that computes all
// of its rows: activations, gradients, and what is computed from them. Its model is
//
//	max(kept + Σ over vocabulary heads v·BPV, kept + Σ over these t·VE, gradients + Σ over these t·VE)
//	kept = Σ over layers (h·BSH + f·BSF + a·BNSS)
//
// with numbers of float32 buffers h, f, a, v, t that are fitted to compiled steps, for each compiler and precision. With activation
// checkpointing a layer keeps fewer, and one layer at a time has all of its own.
func Temporaries(c metro.Config, compiler Compiler) (float64, error) {
	inv, err := inventoryOf(c)
	if err != nil {
		return 0, err
	}
	return temporaries(c, inv, compiler, 1), nil
}

// Evidence is the number of compiled steps that the estimate for c was fitted to: those of its precision and, if it checkpoints
// activations, with checkpointing. Where there are none, as with experts or a second pass, it is a guess.
func Evidence(c metro.Config, compiler Compiler) int {
	k := fitted[compiler][precision(c)]
	if _, ok := c.BytePool(1); ok {
		return 0
	}
	for _, reader := range []metro.Owner{metro.OwnerMain, metro.OwnerGenerator} {
		if _, ok := c.Experts(reader); ok {
			return 0
		}
	}
	if c.HeadRuns() > 1 {
		return 0
	}
	if c.Training.ActivationCheckpointing {
		return k.Checkpointed
	}
	return k.Records
}

func temporaries(c metro.Config, inv metro.Inventory, compiler Compiler, held float64) float64 {
	return buffersOf(c, inv).bytes(fitted[compiler][precision(c)], held)
}
