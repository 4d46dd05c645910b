// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"iter"

	"metrolab/metro/tokens"
)

// The types that all tokenizers have in common.
type (
	Special  = tokens.Special
	Span     = tokens.Span
	Encoding = tokens.Encoding
)

func init() {
	tokens.Register(tokens.Format{
		Model:      "WordPiece",
		Vocabulary: vocabName,
		Load:       func(path string) (tokens.Tokenizer, error) { return Load(path) },
		LoadFolder: func(dir string) (tokens.Tokenizer, error) { return LoadFolder(dir) },
		Learn: func(texts iter.Seq[string], o tokens.Options) (tokens.Tokenizer, error) {
			return Train(texts, Options{VocabSize: o.VocabSize, Lowercase: o.Lowercase, MaxAlphabet: o.Alphabet, LongestWord: o.LongestWord})
		},
	})
}
