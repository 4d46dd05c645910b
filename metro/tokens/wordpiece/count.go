// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// maxWords bounds the table of different words, and with it the trainer's memory (about 0.5 GB at the bound). English
// books have some 300,000 different words in 100 MB, most of them seen once.
const maxWords = 1 << 20

type wordCount struct {
	word  string
	count int64
}

// wordCounter counts normalized words. When limit different ones are held, it forgets all seen once; the next time,
// all seen up to twice, and so on. What it holds depends on the order of the texts but on nothing else.
type wordCounter struct {
	splitter
	limit   int
	chars   int   // that a word may have
	long    int64 // words that have more
	longest int   // how many the longest of these has
	floor   int64 // the count up to which words were last forgotten
	at      map[string]int32
	counts  []int64
	key     []byte
}

func newWordCounter(r rules, limit, chars int) *wordCounter {
	return &wordCounter{splitter: splitter{normalizer{rules: r}}, limit: limit, chars: chars, at: make(map[string]int32)}
}

func (c *wordCounter) add(text string) {
	c.split(text, 0, c.count)
}

func (c *wordCounter) count(word []char) {
	if len(word) > c.chars {
		c.long, c.longest = c.long+1, max(c.longest, len(word))
		return
	}
	c.key = c.key[:0]
	for _, ch := range word {
		c.key = utf8.AppendRune(c.key, ch.r)
	}
	if i, ok := c.at[string(c.key)]; ok {
		c.counts[i]++
		return
	}
	for len(c.counts) >= c.limit {
		c.forget()
	}
	c.at[string(c.key)] = int32(len(c.counts))
	c.counts = append(c.counts, 1)
}

func (c *wordCounter) forget() {
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

// sorted returns the words and their counts in the order of their bytes.
func (c *wordCounter) sorted() []wordCount {
	words := make([]wordCount, 0, len(c.at))
	for word, i := range c.at {
		words = append(words, wordCount{word, c.counts[i]})
	}
	slices.SortFunc(words, func(a, b wordCount) int { return cmp.Compare(a.word, b.word) })
	return words
}
