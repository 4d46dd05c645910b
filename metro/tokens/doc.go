// SPDX-License-Identifier: Apache-2.0

// Package tokens turns text into token ids: what a tokenizer is, and how a corpus becomes files of ids.
//
//	text.Corpus → Learn → Tokenizer
//	text.Corpus, Tokenizer → Tokenize → shards of ids and an index a split → Stream
//
// A [Tokenizer] is what the rest of the project knows of any: it encodes, decodes, names its tokens and saves itself.
// Implementations are packages below this one. Each registers a [Format] when it is imported, as image decoders do, under
// the type that a Hugging Face tokenizer.json gives its model: [Load] and [LoadFolder] look at the file and leave the
// reading to the format of that type, [Learn] lets a format make a tokenizer from the training split of a corpus. The
// package metro/tokens/all imports all that ship. A new tokenizer is a package here and a line there.
//
// [Tokenize] writes the tokens of each split of a corpus, a [SEP] after every document, and finds them in a cache when it is
// asked again; a [Stream] reads them, mapped into memory. They lie in shards of 8 Mi tokens, of 2 bytes each where the
// vocabulary allows, with an index that holds their checksums (shard.go). They are made on all cores, the same bytes on any
// number of them, in memory that does not grow with the corpus; whatever ends it, the next call goes on behind the last whole
// shard. Special tokens do not come from text: text that spells one is unknown to the model, not an order to it.
package tokens
