// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"slices"

	"metrolab/internal/randstream"
)

// Frozen is a held-out set of corrupted rows that is the same for every run: which positions are wrong, and what
// stands there, depends on nothing that is trained. Runs are compared on it; a run's own generator would set each of
// them a test of its own difficulty.
type Frozen struct {
	SeqLen    int
	Corrupted []int32 // [N, S]
	Replaced  []bool  // [N, S] true where the token differs from the original
}

// Freeze corrupts the first n rows: round(rate·candidates) of each row's maskable tokens are drawn anew by faker. A
// draw that gives the original token back is no replacement.
func Freeze(rows *Rows, n int, rate float64, maskable func(id int32) bool, faker Faker) (Frozen, error) {
	s := rows.SeqLen
	if rows.Len() < n {
		return Frozen{}, fmt.Errorf("freeze: asked for %d rows of %d tokens, the split has %d", n, s, rows.Len())
	}
	f := Frozen{SeqLen: s, Corrupted: make([]int32, n*s), Replaced: make([]bool, n*s)}
	original := make([]int32, s)
	slots, weights := make([]int32, s), make([]float32, s)
	for i := range n {
		if err := rows.Read(i, original); err != nil {
			return Frozen{}, err
		}
		rng := randstream.New(0, "frozen", i)
		MaskPositions(rng, original, rate, maskable, slots, weights)
		row := f.Corrupted[i*s : (i+1)*s]
		copy(row, original)
		for k, at := range slots {
			if weights[k] == 0 {
				continue
			}
			left, right := int32(none), int32(none)
			if at > 0 {
				left = original[at-1]
			}
			if int(at) < s-1 {
				right = original[at+1]
			}
			row[at] = faker.Draw(rng.Float64(), left, right)
			f.Replaced[i*s+int(at)] = row[at] != original[at]
		}
	}
	return f, nil
}

// none stands for the neighbour beyond either end of a row. It was never counted beside anything.
const none = -1

// Faker draws a token between two others, u in [0, 1) being the noise. A neighbour is −1 where the row ends.
type Faker interface {
	Draw(u float64, left, right int32) int32
}

// Counts are the unigram and bigram counts of a token stream, from which fakes of two strengths are drawn. They need
// no training and no backend, so a frozen set made from them is the same everywhere.
type Counts struct {
	total   float64
	unigram []float64
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
	c := &Counts{unigram: make([]float64, vocab), next: make([][]bigram, vocab), pair: map[int64]uint32{}}
	row := make([]int32, rows.SeqLen)
	for i := range min(rows.Len(), countedTokens/rows.SeqLen) {
		if err := rows.Read(i, row); err != nil {
			return nil, err
		}
		for k, id := range row {
			if maskable(id) {
				c.unigram[id]++
				c.total++
			}
			if k > 0 {
				c.pair[int64(row[k-1])<<32|int64(id)]++
			}
		}
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
