// SPDX-License-Identifier: Apache-2.0

package data

import (
	"metrolab/internal/randstream"
)

// Batch is the host side of one training step: B rows of S tokens with P mask slots each, all row-major.
type Batch struct {
	Tokens    []int32   // [B, S] original
	Masked    []int32   // [B, S] with [MASK] at the masked positions
	Positions []int32   // [B, P]
	Weights   []float32 // [B, P] 1, or 0 at slots that hold nothing
	Uniforms  []float32 // [B, P] in [0, 1), multiples of 2⁻²³
}

// Loader makes batches from rows. Batch t is a pure function of (Seed, Stream, t).
type Loader struct {
	Rows      *Rows
	Seed      int64
	Stream    string // keeps training and held-out draws apart
	Shuffle   bool   // rows in a random order, pass after pass; else in file order
	BatchSize int    // B
	Slots     int    // P
	MaskRate  float64
	MaskID    int32
	Maskable  func(id int32) bool
}

// Batch returns the batch of a step.
func (l *Loader) Batch(step int) (Batch, error) {
	s := l.Rows.SeqLen
	b := Batch{
		Tokens: make([]int32, l.BatchSize*s), Masked: make([]int32, l.BatchSize*s),
		Positions: make([]int32, l.BatchSize*l.Slots), Weights: make([]float32, l.BatchSize*l.Slots),
		Uniforms: make([]float32, l.BatchSize*l.Slots),
	}
	masks := randstream.New(l.Seed, l.Stream+"mask", step)
	samples := randstream.New(l.Seed, l.Stream+"sample", step)
	for i := range l.BatchSize {
		row := b.Tokens[i*s : (i+1)*s]
		if err := l.Rows.Read(l.index(step*l.BatchSize+i), row); err != nil {
			return Batch{}, err
		}
		slots := b.Positions[i*l.Slots : (i+1)*l.Slots]
		weights := b.Weights[i*l.Slots : (i+1)*l.Slots]
		MaskPositions(masks, row, l.MaskRate, l.Maskable, slots, weights)
		masked := b.Masked[i*s : (i+1)*s]
		copy(masked, row)
		for k, w := range weights {
			if w > 0 {
				masked[slots[k]] = l.MaskID
			}
		}
	}
	for i := range b.Uniforms {
		b.Uniforms[i] = float32(samples.Uint32()>>9) / (1 << 23)
	}
	return b, nil
}

func (l *Loader) index(k int) int {
	if l.Shuffle {
		return Shuffled(l.Seed, l.Rows.Len(), k)
	}
	return k % l.Rows.Len()
}
