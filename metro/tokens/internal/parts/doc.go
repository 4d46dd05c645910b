// SPDX-License-Identifier: Apache-2.0

// Package parts is what kinds of tokenizers have in common: the layout of tokenizer.json and of the small files beside it
// (file.go, config.go), tokens that are found in a text beforehand (added.go), what Hugging Face's tokenizers knows of
// characters (chars.go), spans in code points (spans.go), and the trainers' two halves, which count words (count.go) and merge
// pairs of pieces (merge.go).
package parts
