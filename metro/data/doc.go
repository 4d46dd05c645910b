// SPDX-License-Identifier: Apache-2.0

// Package data is a text's way from files to what a model is fed. It runs on the host and builds no graphs:
//
//	text → documents → tokens → rows [S] → batches [B, S] with masked positions [B, P]
//
// A [Corpus] is text made ready once: [Prepare] turns the default corpus or the user's own text into [Document] values,
// one a paragraph, puts each into a [Split] that follows from its text alone, and keeps the result in a cache. Everything
// streams: memory does not grow with the corpus, but for 8 bytes a paragraph of the default corpus, by which duplicates
// are known.
//
// The default corpus is what the Go distribution on this machine says in its comments: every paragraph of 8 words or more
// in every .go file of its src outside testdata, vendored packages, tests and generated files included, in path order, its
// label the package's import path. Code blocks, directives, example outputs, licence texts and what was said before (but
// for the case of letters) are left out. In Go 1.26.8 that makes 89,477 documents, 1.90 million words, 11.7 MB.
//
// A [Dataset] is a corpus read through a tokenizer, which [LearnTokenizer] learns from the training split alone. Each
// split becomes one stream of token ids on disk, a [SEP] after every document. [Rows] cuts the stream into rows of one
// length, [CLS] and then the next tokens, across the ends of documents, so that no place is lost to padding but in the
// last row. Special tokens come from here alone: text that spells one is unknown to the model, not an order to it.
//
// A [Loader] makes batches. Row k of a run is [Shuffled] (seed, n, k), a permutation of the rows that is computed and
// not stored, a new one each pass. [Masking] says what is masked: the same share of every row's ordinary tokens, one by
// one, by words or in spans, and what is seen there. With the noise that the generator's samples are drawn by, and that
// of each row as a whole, that is all of a step's randomness, and all of it is a function of (seed, step): a run is
// resumed by counting.
//
// A [Frozen] set is a test that is the same for every run. Its wrong tokens are drawn from [Counts] of the training
// split, by what is frequent ([UnigramFaker]) or by what goes well with both neighbours ([BigramFaker]), never by a
// model: runs whose generators differ can be compared on it. The same counts are a source of replacements without a
// generator ([Dataset.LogUnigram]).
package data
