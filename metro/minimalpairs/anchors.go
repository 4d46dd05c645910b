// SPDX-License-Identifier: Apache-2.0

package minimalpairs

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

// Names of the anchors.
const (
	ByCharacters = "length (characters)"
	ByTokens     = "length (tokens)"
	ByWords      = "unigram (words)"
	ByUnigram    = "unigram (tokens)"
	ByTrigram    = "trigram (tokens)"
)

// anchor scores each sentence by itself.
type anchor struct {
	name  string
	score func(sentence string) float64
}

func (a anchor) Name() string { return a.name }

func (a anchor) Score(ctx context.Context, sentences []string, _ func(done, total int)) ([]float64, error) {
	scores := make([]float64, len(sentences))
	for i, sentence := range sentences {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scores[i] = a.score(sentence)
	}
	return scores, nil
}

// Characters prefers the shorter sentence.
func Characters() Scorer {
	return anchor{ByCharacters, func(sentence string) float64 { return -float64(utf8.RuneCountInString(sentence)) }}
}

// Tokens prefers the sentence of fewer tokens.
func Tokens(t tokens.Tokenizer) Scorer {
	return anchor{ByTokens, func(sentence string) float64 { return -float64(len(t.EncodeIDs(nil, sentence))) }}
}

// words are the runs of letters, digits and apostrophes of a text, in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) && r != '\'' && r != '’'
	})
}

// CountWords counts, in the training split of a corpus, the words of sentences, and returns the scorer Σ log p(word) with
// p = (c + ½)/(N + 1): how frequent are its words, whatever their order?
func CountWords(ctx context.Context, corpus *text.Corpus, sentences []string, progress func(done, total int)) (Scorer, error) {
	count, total := map[string]float64{}, 0.0
	for _, sentence := range sentences {
		for _, word := range words(sentence) {
			count[word] = 0
		}
	}
	var reading error
	done, all := 0, int(corpus.Stats.Splits[text.Train].Bytes)
	for text := range corpus.Texts(ctx, text.Train, &reading) {
		for _, word := range words(text) {
			total++
			if c, asked := count[word]; asked {
				count[word] = c + 1
			}
		}
		if done += len(text); progress != nil {
			progress(done, all)
		}
	}
	return anchor{ByWords, func(sentence string) float64 {
		var p []float64
		for _, word := range words(sentence) {
			p = append(p, (count[word]+0.5)/(total+1))
		}
		return sumOfLogs(p)
	}}, reading
}
