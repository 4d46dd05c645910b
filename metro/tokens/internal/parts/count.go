// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"cmp"
	"slices"
)

// MaxWords bounds the table of different words, and with it a trainer's memory (about 0.5 GB at the bound). English
// books have some 300,000 different words in 100 MB, most of them seen once.
const MaxWords = 1 << 20

// WordCount is a word and how often it was seen.
type WordCount struct {
	Word  string
	Count int64
}

// Counter counts words. When limit different ones are held, it forgets all seen once; the next time, all seen up to
// twice, and so on. What it holds depends on the order of the words but on nothing else.
type Counter struct {
	limit  int
	floor  int64 // the count up to which words were last forgotten
	at     map[string]int32
	counts []int64
}

// NewCounter returns a counter of at most limit different words.
func NewCounter(limit int) *Counter { return &Counter{limit: limit, at: make(map[string]int32)} }

// Add counts a word.
func (c *Counter) Add(word []byte) {
	if i, ok := c.at[string(word)]; ok {
		c.counts[i]++
		return
	}
	for len(c.counts) >= c.limit {
		c.forget()
	}
	c.at[string(word)] = int32(len(c.counts))
	c.counts = append(c.counts, 1)
}

// Len returns how many different words there are.
func (c *Counter) Len() int { return len(c.counts) }

func (c *Counter) forget() {
	c.floor++
	kept := make(map[string]int32)
	var counts []int64
	for word, i := range c.at {
		if c.counts[i] > c.floor {
			kept[word] = int32(len(counts))
			counts = append(counts, c.counts[i])
		}
	}
	c.at, c.counts = kept, counts
}

// Sorted returns the words and their counts in the order of their bytes.
func (c *Counter) Sorted() []WordCount {
	words := make([]WordCount, 0, len(c.at))
	for word, i := range c.at {
		words = append(words, WordCount{word, c.counts[i]})
	}
	slices.SortFunc(words, func(a, b WordCount) int { return cmp.Compare(a.Word, b.Word) })
	return words
}

// KeepAlphabet returns the words that are made of the n most frequent characters alone (of equally frequent ones, the
// lower code points).
func KeepAlphabet(words []WordCount, n int) []WordCount {
	counts := make(map[rune]int64)
	for _, w := range words {
		for _, r := range w.Word {
			counts[r] += w.Count
		}
	}
	if len(counts) <= n {
		return words
	}
	alphabet := make([]rune, 0, len(counts))
	for r := range counts {
		alphabet = append(alphabet, r)
	}
	slices.SortFunc(alphabet, func(a, b rune) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for _, r := range alphabet[n:] {
		delete(counts, r)
	}
	return slices.DeleteFunc(words, func(w WordCount) bool {
		for _, r := range w.Word {
			if _, ok := counts[r]; !ok {
				return true
			}
		}
		return false
	})
}
