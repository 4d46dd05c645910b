// SPDX-License-Identifier: Apache-2.0

// Package subword reads and runs the tokenizers whose models are byte-pair encoding (BPE, over bytes as RoBERTa's or over
// characters as SentencePiece's) and Unigram, as Hugging Face's tokenizer.json describes them. Ids and offsets are equal to
// those of its tokenizers library (0.23.3).
//
// A text goes through stages in files of their own: added.go finds tokens such as <mask>, normalize.go with unicode.go and
// charsmap.go normalizes, pretokenize.go and bytelevel.go cut it into words, bpe.go and unigram.go take words apart,
// encode.go puts ids and places together, decode.go goes back. Between stages a text is a [piece] (piece.go): what it has
// become, and where in the original each of its bytes comes from. parse.go reads tokenizer.json, folder.go what stands beside
// a model; spm.go and convert.go read a spiece.model as the tokenizer.json that says the same, spmwrite.go writes one;
// register.go makes the formats known to package tokens.
//
// [Train] finds the vocabulary of a BPE tokenizer, of bytes or of characters. Unigram models are read, not learned: no library
// in Go learns them, and SentencePiece's trainer writes files that are read here.
//
// Time and memory grow with a text as n log n, whatever is in it: a word may have millions of characters.
package subword
