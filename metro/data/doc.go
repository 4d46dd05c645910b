// SPDX-License-Identifier: Apache-2.0

// Package data is a text's way from files to what a model is fed. It runs on the host and builds no graphs.
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
package data
