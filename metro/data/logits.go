// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math"

	"metrolab/internal/usererr"
)

// never stands for log 0: small enough that no softmax in f32 gives it a chance, finite so that differences are.
const never = -1e9

// LogUniform returns the logits [V] of the uniform distribution over the maskable tokens: 0 there, −1e9 elsewhere.
func (d *Dataset) LogUniform() []float32 {
	logits := make([]float32, d.Vocab)
	for id := range logits {
		if !d.Maskable(int32(id)) {
			logits[id] = never
		}
	}
	return logits
}

// LogUnigram returns the logarithms [V] of the tokens' relative frequencies in the training split, as far as [Counts]
// read it, with −1e9 for tokens that were not seen there or are not maskable. A split without any maskable token is the
// user's mistake.
func (d *Dataset) LogUnigram() ([]float32, error) {
	c, err := d.Counts()
	if err != nil {
		return nil, err
	}
	if c.total == 0 {
		return nil, usererr.New("the training split of %s has no token that the tokenizer knows, so there are no frequencies to draw from", d.Corpus.Source)
	}
	logits := make([]float32, d.Vocab)
	for id, n := range c.unigram {
		if logits[id] = never; n > 0 {
			logits[id] = float32(math.Log(n / c.total))
		}
	}
	return logits, nil
}
