// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"unicode/utf8"

	"metrolab/metro/tokens/internal/parts"
)

// wordCounter counts normalized words.
type wordCounter struct {
	splitter
	*parts.Counter
	chars   int   // that a word may have
	long    int64 // words that have more
	longest int   // how many the longest of these has
	key     []byte
}

func newWordCounter(r rules, limit, chars int) *wordCounter {
	return &wordCounter{splitter: splitter{normalizer{rules: r}}, Counter: parts.NewCounter(limit), chars: chars}
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
	c.Add(c.key)
}
