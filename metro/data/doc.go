// SPDX-License-Identifier: Apache-2.0

// Package data holds the host side of a training step: arrays of token ids, and everything about them that is drawn at
// random. It builds no graphs.
//
//	token files → rows [S] → batches [B, S] with masked positions [B, P]
//
// A [Dataset] is a corpus (package text) read through a tokenizer (package tokens). [Rows] cuts each split's stream of
// tokens into rows of one length, [CLS] and then the next tokens, across the ends of documents, so that no place is lost to
// padding but in the last row. Texts that are not trained on but asked about, one by one, are cut by [Windows].
//
// A [Loader] makes batches. Row k of a run is [Shuffled] (seed, n, k), a permutation of the rows that is computed and
// not stored, a new one each pass; where texts are [Mixed], the text that row k is of is computed likewise. [Masking] says what is masked: the same share of every row's ordinary tokens, in a
// pattern of package masking, and what is seen there. With the noise that the generator's samples are drawn by, and that
// of each row as a whole, that is all of a step's randomness, and all of it is a function of (seed, step): a run is
// resumed by counting.
//
// A [Frozen] set is a test that is the same for every run of one tokenizer and one length of rows. Its wrong tokens are drawn
// from [Counts] of the training split, by what is frequent ([UnigramFaker]) or by what goes well with both neighbours
// ([BigramFaker]), never by a model: runs whose generators differ can be compared on it. A [FrozenText] is the same for every
// run on the same text, whatever its tokenizer and rows: whole words are replaced in it. What the counts alone score on either
// stands beside it ([Trivial]). The counts are also a source of replacements without a generator ([Dataset.LogUnigram]).
//
// Whatever opens files here has a Close.
package data
