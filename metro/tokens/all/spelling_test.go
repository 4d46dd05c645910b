// SPDX-License-Identifier: Apache-2.0

package all

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/tokens"
)

// Every kind of tokenizer knows what its tokens are written with: those of a text, put together, are the text.
func TestTokensAreSpelled(t *testing.T) {
	learned := map[string]tokens.Options{
		"WordPiece": {VocabSize: 60}, "BPE": {VocabSize: 300}, "SentencePiece": {Alphabet: 12, SentencePiece: true, VocabSize: 300},
	}
	list := map[string]tokens.Tokenizer{"Unigram": others["Unigram"](t)}
	for name, o := range learned {
		format := slices.IndexFunc(tokens.Formats(), func(f tokens.Format) bool { return f.Model == strings.Replace(name, "SentencePiece", "BPE", 1) })
		tokenizer, err := tokens.Formats()[format].Learn(slices.Values(slices.Repeat([]string{"the tenth hen then eaten the ten", "a nettle then"}, 20)), o)
		require.NoError(t, err, name)
		list[name] = tokenizer
	}
	for name, tokenizer := range list {
		s := tokens.Spell(tokenizer)
		require.Len(t, s.Bytes, tokenizer.VocabSize(), name)
		text := "the then é"
		if name == "WordPiece" {
			text = "the then" // an é that it has not learned is no token of its
		}
		var written strings.Builder
		for _, id := range tokenizer.EncodeIDs(nil, text) {
			written.Write(s.Bytes[id])
		}
		require.Equal(t, text, strings.TrimPrefix(written.String(), " "), name)
		special := tokenizer.Special()
		require.Equal(t, []int32{special.PAD, special.UNK, special.CLS, special.SEP, special.MASK}, s.Free)
		for id := range int32(tokenizer.VocabSize()) {
			require.Equal(t, tokenizer.IsSpecial(id), s.Bytes[id] == nil, "%s %q", name, tokenizer.Token(id))
		}
		require.Nil(t, tokenizer.(tokens.Speller).Bytes(-1))
	}
	require.Equal(t, "\xc3", string(tokens.Spell(list["SentencePiece"]).Bytes[list["SentencePiece"].EncodeIDs(nil, "é")[1]]), "a byte of a character that was not learned")
}

// What is cut is counted, and what cannot be told apart then.
func TestCut(t *testing.T) {
	s := tokens.Spell(others["Unigram"](t))
	s.Bytes[7], s.Bytes[8] = []byte("unbelievable"), []byte("unbelievably")
	require.Equal(t, tokens.Cut{Bytes: 12, Tokens: 13}, tokens.CutOf(s, 12))
	require.Equal(t, tokens.Cut{Bytes: 11, Tokens: 13, Longer: 2, Alike: 2}, tokens.CutOf(s, 11))
	require.Equal(t, "byte-pooled vectors read 11 bytes of a token: 2 of 13 tokens (15 %) are cut, and 2 have the vector of another", tokens.CutOf(s, 11).String())
}
