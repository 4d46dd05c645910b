// SPDX-License-Identifier: Apache-2.0

package metro

import "cmp"

// Parameters returns about how many numbers the weights of c are over vocab tokens, both models and all heads: without listing
// them, for any sizes.
func (c Config) Parameters(vocab int) float64 {
	count := func(main, generator int) (n float64) {
		c.Main.Layers, c.Generator.Layers = main, generator
		for _, w := range Describe(c, vocab) {
			size := 1.0
			for _, d := range w.Shape {
				size *= float64(d)
			}
			n += size
		}
		return n
	}
	main, generator := float64(c.Main.Layers-1), float64(c.Generator.Layers-1)
	one := count(1, 1)
	if c.withoutGenerator() || c.Sharing == SharingAll {
		generator = 0
	}
	return one + main*(count(2, 1)-one) + generator*(count(1, 2)-one)
}

// Memory returns how many bytes training c takes at least, over vocab tokens: of weights, their gradients and what the optimizer
// remembers, and of what a step keeps for the gradient and an evaluation of its rows. What the program and the backend take
// besides is not in it.
func (c Config) Memory(vocab int) (weights, step float64) {
	const float = 4
	optimizer, _ := OptimizerNamed(cmp.Or(c.Optimizer.Name, OptimizerAdamW))
	copies := 2 + float64(optimizer.least()) // the weights, their gradients
	if c.Training.Accumulate > 1 {
		copies++
	}
	if c.Training.EMA > 0 {
		copies++
	}
	rows, s := float64(c.Training.BatchSize/max(1, c.Training.Accumulate)), float64(c.Data.SeqLen)
	encoder := func(reader Owner) float64 {
		e := c.encoderOf(reader)
		states, attention := rows*s*float64(e.Width), rows*float64(e.Heads)*s*s
		if c.Training.ActivationCheckpointing {
			return float64(e.Layers)*states + attention
		}
		inner := rows * s * float64(e.FFN)
		if r, ok := c.Routed(reader, true); ok {
			inner = r.All*float64(e.FFN+2*e.Width) + 2*r.Carriers
		}
		return float64(e.Layers) * (6*states + inner + attention)
	}
	numbers := encoder(OwnerMain)
	if c.Task.Name == "" {
		numbers += rows * float64(c.MaskedPositions()) * float64(vocab) // logits
		numbers += 2 * float64(c.Evaluation.Rows) * s                   // the held-out rows, and a score of each token
		if !c.withoutGenerator() {
			numbers += encoder(OwnerGenerator)
		}
	}
	if pool, ok := c.BytePool(vocab); ok { // what is inside the blocks
		numbers += float64(vocab) * float64(pool.Bytes) * float64((4+3*8)*pool.ByteWidth)
	}
	return float * copies * c.Parameters(vocab), float * numbers
}
