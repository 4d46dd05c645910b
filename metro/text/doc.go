// SPDX-License-Identifier: Apache-2.0

// Package text makes corpora: text as a stream of documents in three splits, the same on every machine.
//
//	the comments of Go, a file, a folder, an archive → Prepare → Corpus → Document, …
//
// [Prepare] turns a source of text into [Document] values, one a paragraph, puts each into a [Split] that follows from its
// text alone, so that more text does not move old text from one split to another, and keeps the result in a cache. A
// [Corpus] is such a result: a folder with a file a split and a manifest, named by a hash of its content. [Corpus.Export]
// copies it to another machine. Everything streams: memory does not grow with the corpus. A paragraph of one's own text that
// came before, word for word, is left out, unless it is as short as refrains and headings are; what was seen is known by 8
// bytes a paragraph, 16 million of them in memory and the others in files (seen.go).
//
// The default corpus is what the Go distribution on this machine says in its comments: every paragraph of 8 words or more
// in every .go file of its src outside testdata, vendored packages, tests and generated files included, in path order, its
// label the package's import path. Code blocks, directives, example outputs, licence texts and what was said before (but
// for the case of letters) are left out. In Go 1.26.8 that makes 89,477 documents, 1.90 million words, 11.7 MB. Its labels
// fall into eight [Families], a free task to probe a model with.
//
// A kind of source is a file of this package: godoc.go (with comments.go) reads Go's comments, text.go the user's own
// text, export.go the archives of other machines. Each fills a folder through builder.go; document.go says what a document
// is, manifest.go what is written down of a corpus, and store.go keeps the cache.
package text
