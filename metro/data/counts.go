// SPDX-License-Identifier: Apache-2.0

package data

import "slices"

// none stands for the neighbour beyond either end of a row. It was never counted beside anything.
const none = -1

// Faker draws a token between two others, u in [0, 1) being the noise. A neighbour is −1 where the row ends.
type Faker interface {
	Draw(u float64, left, right int32) int32
}

// Counts are the unigram and bigram counts of a stream of tokens, or of words, from which fakes of two strengths are drawn.
// They need no training and no backend, so a frozen set made from them is the same everywhere.
type Counts struct {
	total   float64          // of what may be drawn: the maskable tokens
	unigram []float64        // of each of them
	tokens  float64          // of all, special ones among them
	seen    []float64        // of each
	next    [][]bigram       // by first token, in order of the second
	pair    map[int64]uint32 // first<<32 | second → count
}

type bigram struct {
	id    int32
	count uint32
}

// countedTokens bounds the memory of Counts: later tokens of a stream are not read.
const countedTokens = 4 << 20

// CountTokens counts the first 4 Mi tokens of rows over a vocabulary of size vocab. Tokens that are not maskable
// (special ones) are never drawn later.
func CountTokens(rows *Rows, vocab int, maskable func(id int32) bool) (*Counts, error) {
	c := newCounts(vocab)
	row := make([]int32, rows.SeqLen)
	for i := range min(rows.Len(), countedTokens/rows.SeqLen) {
		if err := rows.Read(i, row); err != nil {
			return nil, err
		}
		c.add(row, maskable)
	}
	for key, n := range c.pair {
		if first, second := int32(key>>32), int32(key); maskable(second) {
			c.next[first] = append(c.next[first], bigram{second, n})
		}
	}
	for _, list := range c.next {
		slices.SortFunc(list, func(a, b bigram) int { return int(a.id) - int(b.id) })
	}
	return c, nil
}

func newCounts(vocab int) *Counts {
	return &Counts{unigram: make([]float64, vocab), seen: make([]float64, vocab), next: make([][]bigram, vocab), pair: map[int64]uint32{}}
}

// add counts a row and the pairs in it.
func (c *Counts) add(row []int32, maskable func(id int32) bool) {
	for k, id := range row {
		c.seen[id]++
		c.tokens++
		if maskable(id) {
			c.unigram[id]++
			c.total++
		}
		if k > 0 {
			c.pair[int64(row[k-1])<<32|int64(id)]++
		}
	}
}

// Majority returns the share of the most frequent token: what always guessing it would score.
func (c *Counts) Majority() float64 {
	best := 0.0
	for _, n := range c.unigram {
		best = max(best, n)
	}
	return best / max(c.total, 1)
}

// UnigramFaker draws from the unigram distribution, whatever stands beside.
type UnigramFaker struct{ *Counts }

// Draw implements [Faker].
func (f UnigramFaker) Draw(u float64, _, _ int32) int32 {
	target := u * f.total
	last := int32(0)
	for id, n := range f.unigram {
		if n == 0 {
			continue
		}
		if last = int32(id); target < n {
			break
		}
		target -= n
	}
	return last
}

// BigramFaker draws x between left and right with probability ∝ c(left, x)·c(x, right)/c(x): tokens that go well with
// both neighbours. Where no token was ever seen between them it uses the left neighbour alone, then the unigrams.
type BigramFaker struct{ *Counts }

// Draw implements [Faker].
func (f BigramFaker) Draw(u float64, left, right int32) int32 {
	between := func(b bigram) float64 {
		return float64(b.count) * float64(f.pair[int64(b.id)<<32|int64(right)]) / f.unigram[b.id]
	}
	after := func(b bigram) float64 { return float64(b.count) }
	var next []bigram
	if left != none {
		next = f.next[left]
	}
	for _, weight := range []func(bigram) float64{between, after} {
		if id, ok := drawBigram(next, weight, u); ok {
			return id
		}
	}
	return UnigramFaker(f).Draw(u, left, right)
}

func drawBigram(list []bigram, weight func(bigram) float64, u float64) (int32, bool) {
	total := 0.0
	for _, b := range list {
		total += weight(b)
	}
	if total == 0 {
		return 0, false
	}
	target, last := u*total, int32(0)
	for _, b := range list {
		w := weight(b)
		if w == 0 {
			continue
		}
		if last = b.id; target < w {
			break
		}
		target -= w
	}
	return last, true
}
