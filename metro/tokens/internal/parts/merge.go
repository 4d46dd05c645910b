// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"cmp"
	"container/heap"
)

// pair is two neighboring pieces of a word, by id.
type pair struct {
	left, right int32
}

// occurrence is how often a pair stands in the texts, and in which words. The list holds every word that has the pair,
// and may hold some that no longer do, or one twice.
type occurrence struct {
	count int64
	words []int32
}

// Merger grows a vocabulary by merging pairs: byte-pair encoding (Sennrich et al. 2016). Counts are kept up to date as words
// change, so that one merge costs as much as the words that it changes.
type Merger struct {
	Tokens []string // by id
	IDs    map[string]int32
	Merges [][2]string // in their order

	join   func(left, right string) string
	words  [][]int32
	counts []int64
	pairs  map[pair]*occurrence
	queue  pairQueue
	grown  map[pair]bool // pairs that the merge at hand made
}

// NewMerger gives ids to tokens and takes words apart: spell calls piece for each smallest piece of a word. join says how
// a pair is written when it is one.
func NewMerger(tokens []string, words []WordCount, spell func(word string, piece func(token string)), join func(left, right string) string) *Merger {
	m := &Merger{IDs: make(map[string]int32), join: join, pairs: make(map[pair]*occurrence), grown: make(map[pair]bool)}
	for _, token := range tokens {
		m.id(token)
	}
	for i, w := range words {
		var pieces []int32
		spell(w.Word, func(token string) { pieces = append(pieces, m.id(token)) })
		m.words, m.counts = append(m.words, pieces), append(m.counts, w.Count)
		m.tally(pieces, w.Count)
		m.list(int32(i), func(pair) bool { return true })
	}
	m.enqueue()
	return m
}

// id returns the id of a token, a new one if need be.
func (m *Merger) id(token string) int32 {
	id, ok := m.IDs[token]
	if !ok {
		id = int32(len(m.Tokens))
		m.IDs[token] = id
		m.Tokens = append(m.Tokens, token)
	}
	return id
}

// tally adds n to the count of every pair in pieces.
func (m *Merger) tally(pieces []int32, n int64) {
	for i := 1; i < len(pieces); i++ {
		p := pair{pieces[i-1], pieces[i]}
		if m.pairs[p] == nil {
			m.pairs[p] = &occurrence{}
		}
		m.pairs[p].count += n
	}
}

// list enters a word in the lists of those of its pairs that are new to it.
func (m *Merger) list(word int32, isNew func(pair) bool) {
	pieces := m.words[word]
	for i := 1; i < len(pieces); i++ {
		if p := (pair{pieces[i-1], pieces[i]}); isNew(p) {
			m.pairs[p].words = append(m.pairs[p].words, word)
			m.grown[p] = true
		}
	}
}

// enqueue queues the pairs that have grown, with their counts.
func (m *Merger) enqueue() {
	for p := range m.grown {
		heap.Push(&m.queue, queued{p, m.pairs[p].count})
	}
	clear(m.grown)
}

// Run merges until the vocabulary has size tokens or no pair occurs minCount times.
func (m *Merger) Run(size int, minCount int64) {
	for len(m.Tokens) < size && len(m.queue) > 0 {
		top := heap.Pop(&m.queue).(queued)
		switch now := m.pairs[top.pair]; {
		case now == nil || now.count < minCount:
		case now.count != top.count:
			heap.Push(&m.queue, queued{top.pair, now.count})
		default:
			m.merge(top.pair, now.words)
		}
	}
}

// merge makes p one piece in all of words.
func (m *Merger) merge(p pair, words []int32) {
	left, right := m.Tokens[p.left], m.Tokens[p.right]
	made := m.id(m.join(left, right))
	m.Merges = append(m.Merges, [2]string{left, right})
	for _, w := range words {
		if !hasPair(m.words[w], p) {
			continue
		}
		m.tally(m.words[w], -m.counts[w])
		m.words[w] = replacePair(m.words[w], p, made)
		m.tally(m.words[w], m.counts[w])
		m.list(w, func(q pair) bool { return q.left == made || q.right == made })
	}
	delete(m.pairs, p)
	m.enqueue()
}

func hasPair(pieces []int32, p pair) bool {
	for i := 1; i < len(pieces); i++ {
		if pieces[i-1] == p.left && pieces[i] == p.right {
			return true
		}
	}
	return false
}

// replacePair puts made in the place of p, from the left and in place.
func replacePair(pieces []int32, p pair, made int32) []int32 {
	out := pieces[:0]
	for i := 0; i < len(pieces); i++ {
		if i+1 < len(pieces) && pieces[i] == p.left && pieces[i+1] == p.right {
			out = append(out, made)
			i++
			continue
		}
		out = append(out, pieces[i])
	}
	return out
}

// queued is a pair with the count it had at some time. A pair that grows is queued anew and one found to have shrunk
// is queued again, so the first of the queue whose count is still true is the most frequent of all.
type queued struct {
	pair
	count int64
}

// pairQueue is a heap: the most frequent pair first, of equals the one with the lower ids.
type pairQueue []queued

func (q pairQueue) Len() int      { return len(q) }
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q pairQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right)) < 0
}
func (q *pairQueue) Push(x any) { *q = append(*q, x.(queued)) }
func (q *pairQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
