// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"math/rand/v2"

	"metrolab/internal/randstream"
)

// Batch is the host side of one training step: B rows of S tokens with P mask slots each, all row-major.
type Batch struct {
	Tokens    []int32   // [B, S] original
	Masked    []int32   // [B, S] what the generator reads: original but at the masked positions, by the rule of Masking
	Positions []int32   // [B, P]
	Weights   []float32 // [B, P] 1, or 0 at slots that hold nothing
	Uniforms  []float32 // [B, P] in [0, 1), multiples of 2⁻²³
	Rows      []float32 // [B] noise of each row as a whole, in [0, 1), multiples of 2⁻²³
	Samples   []int32   // [B, P] what was drawn before (see package corruptions); nil where it is drawn in the step
}

// Loader makes batches from rows. Batch t is a pure function of (Seed, Stream, t).
type Loader struct {
	Rows      *Rows
	Mixed     []Mixed // what rows are drawn from beside Rows
	Seed      int64
	Stream    string // keeps training and held-out draws apart
	Shuffle   bool   // rows in a random order, pass after pass; else in file order
	BatchSize int    // B
	Slots     int    // P
	Masking   Masking
	MaskID    int32
	Maskable  func(id int32) bool
	Continues func(id int32) bool // marks the pieces that continue a word; may be nil but for patterns that ask for words
	Vocab     int                 // V; random tokens are drawn from the maskable ids below it; may be 0 where Masking.Random is
}

// Batch returns the batch of a step. A Masking that makes no sense is the user's mistake.
func (l *Loader) Batch(step int) (Batch, error) {
	if err := l.Masking.Validate(); err != nil {
		return Batch{}, fmt.Errorf("make a batch: %w", err)
	}
	s := l.Rows.SeqLen
	b := Batch{
		Tokens: make([]int32, l.BatchSize*s), Masked: make([]int32, l.BatchSize*s),
		Positions: make([]int32, l.BatchSize*l.Slots), Weights: make([]float32, l.BatchSize*l.Slots),
		Uniforms: make([]float32, l.BatchSize*l.Slots), Rows: make([]float32, l.BatchSize),
	}
	// A stream each, so that the draws of one do not depend on whether another is used.
	stream := func(name string) *rand.Rand { return randstream.New(l.Seed, l.Stream+name, step) }
	masks, rule := stream("mask"), stream("rule")
	for i := range l.BatchSize {
		row := b.Tokens[i*s : (i+1)*s]
		rows, at := l.row(step*l.BatchSize + i)
		if err := rows.Read(at, row); err != nil {
			return Batch{}, err
		}
		slots := b.Positions[i*l.Slots : (i+1)*l.Slots]
		weights := b.Weights[i*l.Slots : (i+1)*l.Slots]
		l.Masking.positions(masks, row, l.Maskable, l.Continues, slots, weights)
		masked := b.Masked[i*s : (i+1)*s]
		copy(masked, row)
		for k, w := range weights {
			if w > 0 {
				l.hide(rule, masked, slots[k])
			}
		}
	}
	fillUniform(stream("sample"), b.Uniforms)
	fillUniform(stream("row"), b.Rows)
	return b, nil
}

// Join puts the rows of batches into one batch.
func Join(batches ...Batch) Batch {
	var b Batch
	for _, more := range batches {
		b.Tokens, b.Masked = append(b.Tokens, more.Tokens...), append(b.Masked, more.Masked...)
		b.Positions, b.Weights = append(b.Positions, more.Positions...), append(b.Weights, more.Weights...)
		b.Uniforms, b.Rows = append(b.Uniforms, more.Uniforms...), append(b.Rows, more.Rows...)
		b.Samples = append(b.Samples, more.Samples...)
	}
	return b
}

// hide writes what is seen at a masked position. A slot that keeps its token writes nothing, so that of two slots with
// one position the one that hides it prevails.
func (l *Loader) hide(rule *rand.Rand, masked []int32, at int32) {
	share := 1.0 // as if drawn beyond both
	if l.Masking.Keep+l.Masking.Random > 0 {
		share = rule.Float64()
	}
	switch {
	case share < l.Masking.Keep:
	case share < l.Masking.Keep+l.Masking.Random:
		masked[at] = l.randomToken(rule)
	default:
		masked[at] = l.MaskID
	}
}

// randomToken returns one of the maskable ids. There is one, since one was masked.
func (l *Loader) randomToken(rule *rand.Rand) int32 {
	for {
		if id := rule.Int32N(int32(l.Vocab)); l.Maskable(id) {
			return id
		}
	}
}

// fillUniform draws from [0, 1) on a grid that every backend holds exactly in f32.
func fillUniform(rng *rand.Rand, out []float32) {
	for i := range out {
		out[i] = float32(rng.Uint32()>>9) / (1 << 23)
	}
}

// row returns the k-th row of the run, by its place among the rows that it is one of.
func (l *Loader) row(k int) (*Rows, int) {
	rows, k := l.text(k)
	if l.Shuffle {
		return rows, Shuffled(l.Seed, rows.Len(), k)
	}
	return rows, k % rows.Len()
}
