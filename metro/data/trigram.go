// SPDX-License-Identifier: Apache-2.0

package data

import "math/rand/v2"

// TrigramFaker is the strongest reference generator that counting gives: it looks at the two tokens on either side,
//
//	p(x) ∝ p(x | l₂, l₁) · p(x | r₁, r₂) / p(x)
//
// where each factor is counted in the training text and drawn towards the one that looks at a token less, as if that had been
// seen some more times (Dirichlet smoothing): p(x|a,b) = (c(a,b,x) + k·p(x|b)) / (c(a,b) + k), p(x|b) = (c(b,x) + k·p(x)) / (c(b) + k).
// It follows from the text and its tokens alone, and every product is rounded by itself, so that all machines draw the same.
type TrigramFaker struct {
	counts      *Counts
	left, right map[[2]int32]*followers // by the two tokens on that side, in the order of the text
	prior       []float64               // p(x); 0 for what is never drawn
}

// followers are the tokens that were seen beside two others.
type followers struct {
	total float64
	count map[int32]float64
}

// NewTrigramFaker counts, in as many of rows as counts were made of, what stands beside the pairs of tokens that are asked for:
// those around the positions that [Freeze] draws anew in the first n of held, at that rate.
func NewTrigramFaker(counts *Counts, rows, held *Rows, n int, rate float64, maskable func(id int32) bool) (*TrigramFaker, error) {
	f := &TrigramFaker{counts: counts, left: map[[2]int32]*followers{}, right: map[[2]int32]*followers{}, prior: make([]float64, len(counts.unigram))}
	for id, c := range counts.unigram {
		f.prior[id] = c / max(counts.total, 1)
	}
	err := eachFrozen(held, n, rate, maskable, func(_ int, row []int32, positions []int, _ *rand.Rand) {
		for _, at := range positions {
			l2, l1, r1, r2 := around(row, at)
			f.left[[2]int32{l2, l1}] = &followers{count: map[int32]float64{}}
			f.right[[2]int32{r1, r2}] = &followers{count: map[int32]float64{}}
		}
	})
	if err != nil {
		return nil, err
	}
	row := make([]int32, rows.SeqLen)
	for i := range min(rows.Len(), countedTokens/rows.SeqLen) {
		if err := rows.Read(i, row); err != nil {
			return nil, err
		}
		for at, x := range row {
			if !maskable(x) {
				continue
			}
			l2, l1, r1, r2 := around(row, at)
			f.left[[2]int32{l2, l1}].see(x)
			f.right[[2]int32{r1, r2}].see(x)
		}
	}
	return f, nil
}

// see counts a token; nobody asks for what a nil stands for.
func (f *followers) see(x int32) {
	if f != nil {
		f.total++
		f.count[x]++
	}
}

// around returns the two tokens on either side of a position, the nearest inside, [none] beyond the ends of the row.
func around(row []int32, at int) (l2, l1, r1, r2 int32) {
	l1, r1 = beside(row, at)
	l2, r2 = none, none
	if at > 1 {
		l2 = row[at-2]
	}
	if at < len(row)-2 {
		r2 = row[at+2]
	}
	return l2, l1, r1, r2
}

// wideFaker is a faker that looks farther than at the neighbours.
type wideFaker interface {
	drawIn(u float64, row []int32, at int) int32
}

// Draw implements [Faker], for a position of which the neighbours alone are known.
func (f *TrigramFaker) Draw(u float64, left, right int32) int32 {
	return f.draw(u, none, left, right, none)
}

func (f *TrigramFaker) drawIn(u float64, row []int32, at int) int32 {
	l2, l1, r1, r2 := around(row, at)
	return f.draw(u, l2, l1, r1, r2)
}

func (f *TrigramFaker) draw(u float64, l2, l1, r1, r2 int32) int32 {
	weights, total := make([]float64, len(f.prior)), 0.0
	for id, p := range f.prior {
		if p == 0 {
			continue
		}
		x := int32(id)
		before := f.smoothed(f.left[[2]int32{l2, l1}], x, f.pairs(l1, x), f.seen(l1), p)
		after := f.smoothed(f.right[[2]int32{r1, r2}], x, f.pairs(x, r1), f.seen(r1), p)
		weights[id] = float64(before*after) / p
		total += weights[id]
	}
	target, last := float64(u*total), int32(0)
	for id, w := range weights {
		if w == 0 {
			continue
		}
		if last = int32(id); target < w {
			break
		}
		target -= w
	}
	return last
}

// smoothed is the probability of x beside two tokens, of which it was seen in far, beside the nearer one in near of seen, and
// anywhere with the probability p.
func (f *TrigramFaker) smoothed(far *followers, x int32, near, seen, p float64) float64 {
	const more = 5.0 // k
	q := (near + float64(more*p)) / (seen + more)
	if far == nil {
		return q
	}
	return (far.count[x] + float64(more*q)) / (far.total + more)
}

// pairs and seen are counts, 0 beyond the end of a row.
func (f *TrigramFaker) pairs(first, second int32) float64 {
	if first == none || second == none {
		return 0
	}
	return float64(f.counts.pair[int64(first)<<32|int64(second)])
}

func (f *TrigramFaker) seen(id int32) float64 {
	if id == none {
		return 0
	}
	return f.counts.seen[id]
}
