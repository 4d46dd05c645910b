// SPDX-License-Identifier: Apache-2.0

package minimalpairs_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/minimalpairs"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
	_ "metrolab/metro/tokens/all"
)

// prose is a text whose counts are known: one document said over and over would be one, so each has a number.
func prose(t testing.TB, lines ...string) (corpus *text.Corpus, tokenizer tokens.Tokenizer, cache string) {
	dir := t.TempDir()
	path, cache := filepath.Join(dir, "text.txt"), filepath.Join(dir, "cache")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n\n")), 0o600))
	corpus, err := text.Prepare(t.Context(), path, cache, nil)
	require.NoError(t, err)
	tokenizer, err = tokens.Learn(t.Context(), corpus, tokens.Options{VocabSize: 200, Lowercase: true}, cache)
	require.NoError(t, err)
	return corpus, tokenizer, cache
}

func dogs(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("The dogs bark %d.", i), fmt.Sprintf("A dog barks %d.", i))
	}
	return lines
}

// Counted without the bound on memory, by hand, in all of the training split.
func TestNGramsAreThoseOfTheTrainingText(t *testing.T) {
	corpus, tokenizer, cache := prose(t, dogs(200)...)
	const sentence = "The dogs barks."
	files, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
	require.NoError(t, err)
	grams, err := minimalpairs.CountTokens(t.Context(), files, tokenizer, []string{sentence, "Barks the dogs."}, nil)
	require.NoError(t, err)

	sep := tokenizer.Special().SEP
	stream := []int32{sep}
	for document, err := range corpus.Documents(text.Train) {
		require.NoError(t, err)
		stream = append(tokenizer.EncodeIDs(stream, document.Text), sep)
	}
	count := func(ids ...int32) (n float64) {
		for at := 1; at+len(ids) <= len(stream); at++ {
			same := true
			for i, id := range ids {
				same = same && stream[at+i] == id
			}
			if same {
				n++
			}
		}
		return n
	}
	starts := func(id int32) (n float64) { // of documents
		for at := range stream[:len(stream)-1] {
			if stream[at] == sep && stream[at+1] == id {
				n++
			}
		}
		return n
	}
	ids, total := tokenizer.EncodeIDs(nil, sentence), float64(len(stream)-1)
	one := func(x int32) float64 { return (count(x) + 0.5) / (total + 1) }
	unigram, trigram := math.Log(one(ids[0])), 0.0
	p := (starts(ids[0]) + 5*one(ids[0])) / (count(sep) + 5)
	trigram += math.Log(p)
	for i := 1; i < len(ids); i++ {
		unigram += math.Log(one(ids[i]))
		b, x := ids[i-1], ids[i]
		two := (count(b, x) + 5*one(x)) / (count(b) + 5)
		three, before := 0.0, 0.0
		if i > 1 {
			a := ids[i-2]
			three, before = count(a, b, x), count(a, b)
		} else {
			for at := range stream[:len(stream)-2] {
				if stream[at] == sep && stream[at+1] == b {
					before++
					if stream[at+2] == x {
						three++
					}
				}
			}
		}
		trigram += math.Log((three + 5*two) / (before + 5))
	}
	got, err := grams.Unigram().Score(t.Context(), []string{sentence, "Barks the dogs."}, nil)
	require.NoError(t, err)
	require.InDelta(t, unigram, got[0], 1e-9)
	require.Equal(t, got[0], got[1], "the same tokens in another order tie, to the bit")
	got, err = grams.Trigram().Score(t.Context(), []string{sentence, "Barks the dogs."}, nil)
	require.NoError(t, err)
	require.InDelta(t, trigram, got[0], 1e-9)
	require.Greater(t, got[0], got[1])
}

// Words are counted whatever their case and whatever stands beside them; one that is not in the text is the rarest.
func TestWordsAreCounted(t *testing.T) {
	corpus, _, _ := prose(t, dogs(200)...)
	sentences := []string{"dogs bark", "Bark, DOGS!", "dog barks", "cats bark"}
	words, err := minimalpairs.CountWords(t.Context(), corpus, sentences, nil)
	require.NoError(t, err)
	got, err := words.Score(t.Context(), sentences, nil)
	require.NoError(t, err)
	total, dog := 0.0, 0.0
	for document, err := range corpus.Documents(text.Train) {
		require.NoError(t, err)
		total += 4
		if strings.HasPrefix(document.Text, "The dogs") {
			dog++
		}
	}
	require.InDelta(t, 2*math.Log((dog+0.5)/(total+1)), got[0], 1e-9)
	require.Equal(t, got[0], got[1])
	require.InDelta(t, math.Log(0.5/(total+1))+math.Log((dog+0.5)/(total+1)), got[3], 1e-9)
}

func TestLengths(t *testing.T) {
	_, tokenizer, _ := prose(t, dogs(200)...)
	sentences := []string{"The dogs bark.", "dög", "dog"}
	characters, err := minimalpairs.Characters().Score(t.Context(), sentences, nil)
	require.NoError(t, err)
	require.Equal(t, []float64{-14, -3, -3}, characters)
	lengths, err := minimalpairs.Tokens(tokenizer).Score(t.Context(), sentences, nil)
	require.NoError(t, err)
	require.Equal(t, -float64(len(tokenizer.EncodeIDs(nil, sentences[0]))), lengths[0])
}

func TestCountingStops(t *testing.T) {
	corpus, tokenizer, cache := prose(t, dogs(200)...)
	files, err := tokens.Tokenize(t.Context(), corpus, tokenizer, cache, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = minimalpairs.CountWords(ctx, corpus, []string{"dogs"}, nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = minimalpairs.CountTokens(ctx, files, tokenizer, []string{"dogs"}, nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = minimalpairs.Compare(ctx, pairs(t), minimalpairs.Characters(), nil)
	require.ErrorIs(t, err, context.Canceled)
}
