// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"metrolab/metro/text"
)

// Unknown says how much of a text its tokenizer does not know, and makes [UNK] of.
type Unknown struct {
	Tokens  int64 `json:"tokens"`  // all of them, without the [SEP] after each document
	Words   int64 `json:"words"`   // tokens that begin a word: words, punctuation marks, ideographs
	Unknown int64 `json:"unknown"` // words that are unknown

	// The most frequent ones of a sample: characters that are unknown by themselves, and words that are too long, or that no
	// pieces cover though their characters are known.
	Characters []string `json:"characters,omitempty"`
	Long       []string `json:"long,omitempty"`
}

// Considerable is the share of unknown words from which a text is not what the tokenizer was made for.
const Considerable = 0.01

// Share is the part of the words that is unknown.
func (u Unknown) Share() float64 { return float64(u.Unknown) / float64(max(u.Words, 1)) }

// String says it in a sentence, with the worst and what can be done if it is considerable.
func (u Unknown) String() string {
	s := fmt.Sprintf("%s tokens to train on; %.2g %% of the words are unknown to the tokenizer ([UNK])", humanize.Comma(u.Tokens), 100*u.Share())
	if u.Share() < Considerable {
		return s
	}
	var worst []string
	if len(u.Characters) > 0 {
		worst = append(worst, "characters that it has not learned, such as "+strings.Join(u.Characters, " ")+" (data.alphabet is how many it learns)")
	}
	if len(u.Long) > 0 {
		worst = append(worst, "words that are too long, or that no pieces cover, such as "+strings.Join(u.Long, ", ")+" (data.longest_word is how long one may be)")
	}
	return "warning: " + s + ", mostly for " + strings.Join(worst, ", ")
}

// unknownOf is that of a training split of which the index is given: what its shards have counted, and the worst of it if it
// is considerable.
func unknownOf(ctx context.Context, corpus *text.Corpus, t Tokenizer, ix index) (Unknown, error) {
	c := newUnknownCounter(t)
	for _, s := range ix.Shards {
		c.u.Tokens += int64(s.Tokens - s.Documents)
		c.u.Words += s.Words
		c.u.Unknown += s.Unknown
	}
	if c.u.Share() < Considerable {
		return c.u, nil
	}
	var reading error
	for text := range corpus.Texts(ctx, text.Train, &reading) {
		if c.sampled >= unknownSample {
			break
		}
		c.sample(text)
	}
	c.u.Characters, c.u.Long = mostFrequent(c.characters), mostFrequent(c.long)
	return c.u, reading
}

// unknownSample is how many unknown words are looked at, and worstShown how many of them are named.
const (
	unknownSample = 20_000
	worstShown    = 8
)

// unknownCounter finds out what of a text is unknown, and why.
type unknownCounter struct {
	tokenizer        Tokenizer
	u                Unknown
	sampled          int
	characters, long map[string]int
	known            map[rune]bool
	letter           string // one that the tokenizer knows at the beginning of a word and inside
}

func newUnknownCounter(t Tokenizer) *unknownCounter {
	return &unknownCounter{tokenizer: t, characters: map[string]int{}, long: map[string]int{}, known: map[rune]bool{}}
}

// sample looks at the unknown words of a text.
func (c *unknownCounter) sample(text string) {
	if !c.unknown(text) {
		return
	}
	e := c.tokenizer.Encode(text)
	for i, id := range e.IDs {
		if id != c.tokenizer.Special().UNK {
			continue
		}
		c.sampled++
		word, allKnown := text[e.Bytes[i].Start:e.Bytes[i].End], true
		if c.tooLong(utf8.RuneCountInString(word)) {
			c.long[abbreviated(word)]++
			continue
		}
		for _, r := range word {
			if !c.knows(r) {
				c.characters[string(r)]++
				allKnown = false
			}
		}
		if allKnown {
			c.long[abbreviated(word)]++
		}
	}
}

// tooLong reports whether a word of n characters is unknown whatever it is made of: one of a known letter, again and again.
func (c *unknownCounter) tooLong(n int) bool {
	if c.letter == "" {
		c.letter = " " // there may be none that follows itself
		for id := range int32(c.tokenizer.VocabSize()) {
			if t := c.tokenizer.Token(id); utf8.RuneCountInString(t) == 1 && len(c.tokenizer.EncodeIDs(nil, t)) == 1 && !c.unknown(t+t) {
				c.letter = t
				break
			}
		}
	}
	return c.letter != " " && c.unknown(strings.Repeat(c.letter, n))
}

// unknown reports whether there is a word in text that is not known.
func (c *unknownCounter) unknown(text string) bool {
	return slices.Contains(c.tokenizer.EncodeIDs(nil, text), c.tokenizer.Special().UNK)
}

// knows reports whether a character is known when it stands alone.
func (c *unknownCounter) knows(r rune) bool {
	known, ok := c.known[r]
	if !ok {
		known = !c.unknown(string(r))
		c.known[r] = known
	}
	return known
}

// abbreviated is the beginning of a word, and its length.
func abbreviated(word string) string {
	const shown = 24
	n := utf8.RuneCountInString(word)
	if n <= shown {
		return word
	}
	return fmt.Sprintf("%s… (%d characters)", string([]rune(word)[:shown]), n)
}

// mostFrequent lists the keys with the highest counts; of equal ones, the lower.
func mostFrequent(counts map[string]int) []string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	return keys[:min(len(keys), worstShown)]
}
