// SPDX-License-Identifier: Apache-2.0

package data

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"metrolab/metro/tokens"
)

// wordsOf returns the places, in bytes, of the words of a text: runs of letters, digits and their marks. A Chinese character
// is a word of its own, as it is to the tokenizers.
func wordsOf(text string) (places []tokens.Span) {
	inside := false
	for at, r := range text {
		end := at + len(string(r))
		han := unicode.Is(unicode.Han, r)
		switch {
		case inside && !han && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)):
			places[len(places)-1].End = end
		case unicode.IsLetter(r) || unicode.IsNumber(r):
			places = append(places, tokens.Span{Start: at, End: end})
			inside = !han
		default:
			inside = false
		}
	}
	return places
}

// folded is what is left of a word where case, accents and forms of a letter do not count.
func folded(word string) string {
	unmarked := strings.Map(func(r rune) rune {
		if unicode.IsMark(r) {
			return -1
		}
		return r
	}, norm.NFKD.String(word))
	return strings.ToLower(strings.ToUpper(unmarked))
}

// wordCounts are the counts of words, which get their ids as they come.
type wordCounts struct {
	*Counts
	ids   map[string]int32
	words []string // by id
}

// id returns that of a word; a new one has no count.
func (c *wordCounts) id(word string) int32 {
	id, ok := c.ids[word]
	if !ok {
		id = int32(len(c.words))
		c.ids[word], c.words = id, append(c.words, word)
		c.unigram, c.seen = append(c.unigram, 0), append(c.seen, 0)
	}
	return id
}

// addText counts the words of a text.
func (c *wordCounts) addText(text string) {
	var row []int32
	for _, place := range wordsOf(text) {
		row = append(row, c.id(text[place.Start:place.End]))
	}
	c.add(row, func(int32) bool { return true })
}
