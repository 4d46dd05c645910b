// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"iter"

	"metrolab/metro/tokens"
)

func init() {
	load := func(path string) (tokens.Tokenizer, error) { return Load(path) }
	folder := func(dir string) (tokens.Tokenizer, error) { return LoadFolder(dir) }
	tokens.Register(tokens.Format{Model: "Unigram", Vocabulary: spmName, Load: load, LoadFolder: folder})
	tokens.Register(tokens.Format{
		Model: "BPE", Load: load, LoadFolder: folder,
		Learn: func(texts iter.Seq[string], o tokens.Options) (tokens.Tokenizer, error) {
			return Train(texts, Options{
				SentencePiece: o.SentencePiece, VocabSize: o.VocabSize, Lowercase: o.Lowercase, MaxAlphabet: o.Alphabet, LongestWord: o.LongestWord,
			})
		},
	})
}
