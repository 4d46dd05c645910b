// SPDX-License-Identifier: Apache-2.0

// Package wordpiece turns text into token ids and trains the vocabulary for it.
//
// WordPiece is BERT's tokenizer: text is cleaned, lowered and stripped of accents (or not), cut into words at white
// space and punctuation, and every word is covered from the left by the longest pieces that the vocabulary has; a
// piece that continues a word is written with ## before it. Files are Hugging Face's tokenizer.json in both
// directions, and ids and offsets are equal to those of its tokenizers library (0.23.3) on any text, down to the
// versions of the Unicode tables that it uses. [LoadFolder] and [Tokenizer.SaveFolder] read and write what stands beside
// a model: that file, and vocab.txt with its settings for programs that know no other.
//
// [Train] finds the vocabulary by byte-pair encoding, as that library's trainer does, but breaks ties by a rule, so
// that the same text gives the same file every time.
//
// The stages lie in files of their own: normalize.go normalizes, split.go makes words, encode.go pieces; count.go counts words
// for the trainer, train.go. file.go has what tokenizer.json has of a WordPiece tokenizer, parse.go and format.go read and
// write it; folder.go is the folder, vocab.go the one without tokenizer.json; register.go makes the format known to package
// tokens. What other kinds need too is in package parts.
//
// Errors about a file or an option are marked by package usererr as the user's.
package wordpiece
