// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math"
	"strings"
	"unicode/utf8"
)

// The scorers that stand beside a frozen outcome. They know the counts of the training text and nothing else, so what they
// score is what a model has to pass before it has learned anything that counting does not give.
const (
	ByRarity   = "rarity"   // −ln of how frequent it is
	ByLength   = "length"   // its letters
	BySurprise = "surprise" // how much more rarely than by chance it stands beside its two neighbours
)

// Trivial are the scores that scorers without a model give: by the scorer's name one score a token, or a word; the higher,
// the more likely it was replaced.
type Trivial map[string][]float32

// add scores what stands in row, whose ids have so many letters.
func (t Trivial) add(c *Counts, row []int32, letters func(id int32) int) {
	for k, id := range row {
		left, right := beside(row, k)
		for name, score := range map[string]float64{
			ByRarity:   -math.Log((c.seen[id] + 0.5) / (c.tokens + 1)),
			ByLength:   float64(letters(id)),
			BySurprise: c.surprise(left, id) + c.surprise(id, right),
		} {
			t[name] = append(t[name], float32(score))
		}
	}
}

// surprise is −ln of p(second|first)/p(second), drawn towards 0 as if first had been seen some more times, before what is
// usual. It is 0 beyond the end of a row.
func (c *Counts) surprise(first, second int32) float64 {
	const more = 5
	if first == none || second == none {
		return 0
	}
	expected := c.seen[first] * c.seen[second] / c.tokens // pairs of them, were they strangers
	if expected == 0 {
		return 0
	}
	together := float64(c.pair[int64(first)<<32|int64(second)])
	return math.Log(c.seen[first]+more) - math.Log(c.seen[first]*together/expected+more)
}

// Trivial scores the tokens of a frozen set of d, [N, S] by each scorer.
func (d *Dataset) Trivial(f Frozen) (Trivial, error) {
	counts, err := d.Counts()
	if err != nil {
		return nil, err
	}
	letters := func(id int32) int { return utf8.RuneCountInString(strings.TrimPrefix(d.Tokenizer.Token(id), "##")) }
	t := Trivial{}
	for at := 0; at < len(f.Corrupted); at += f.SeqLen {
		t.add(counts, f.Corrupted[at:at+f.SeqLen], letters)
	}
	return t, nil
}
