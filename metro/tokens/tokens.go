// SPDX-License-Identifier: Apache-2.0

package tokens

import "slices"

// Tokenizer turns text into ids and back. It does not change after it was made, and all its methods may be called from
// several goroutines at once.
type Tokenizer interface {
	// Encode returns [CLS], the tokens of text, [SEP], with their places in the text.
	Encode(text string) Encoding
	// EncodeIDs appends the ids of text to dst and returns it: those of Encode without [CLS] and [SEP] around them.
	EncodeIDs(dst []int32, text string) []int32
	// Decode joins the tokens of ids into text, special tokens and ids outside the vocabulary left out.
	Decode(ids []int32) string

	// VocabSize is the number of tokens. Every id is in [0, VocabSize).
	VocabSize() int
	// Token returns the token of an id as the vocabulary writes it, and "" for an id outside [0, VocabSize).
	Token(id int32) string
	// Special returns the ids of the five tokens that every tokenizer has.
	Special() Special
	// Pair says how two texts are put together; see [EncodePair].
	Pair() Template
	// IsSpecial reports whether id is a special token: one of Special or another one that is marked so.
	IsSpecial(id int32) bool
	// IsContinuation reports whether id is a piece that continues a word.
	IsContinuation(id int32) bool

	// Hash names the tokenizer by its content, in hexadecimal: equal hashes, equal tokenizers.
	Hash() string
	// Save writes a Hugging Face tokenizer.json to path, all or nothing. [Load] reads it.
	Save(path string) error
	// SaveFolder writes the files of a tokenizer as they stand beside a model of Hugging Face's into dir, which is made if
	// need be. maxLength is the number of tokens, [CLS] and [SEP] counted, that the model takes. [LoadFolder] reads them.
	SaveFolder(dir string, maxLength int) error
}

// Special holds the ids of the five tokens that every tokenizer here has.
type Special struct {
	PAD, UNK, CLS, SEP, MASK int32
}

// Plain puts [UNK] in the place of the special tokens among ids, but for those to keep: a text that spells [PAD] or [MASK]
// must not act as one.
func Plain(t Tokenizer, ids []int32, keep ...int32) {
	for i, id := range ids {
		if t.IsSpecial(id) && !slices.Contains(keep, id) {
			ids[i] = t.Special().UNK
		}
	}
}

// Span is a half-open range of positions in a text.
type Span struct {
	Start, End int
}

// Encoding is an encoded text. The three slices have one entry a token.
type Encoding struct {
	IDs []int32
	// Bytes holds each token's place in the text, in bytes: text[s.Start:s.End] is what the token was made of.
	// A token that is not in the text ([CLS], [SEP]) has the empty span at 0.
	Bytes []Span
	// Chars holds the same places in Unicode code points, the offsets that Hugging Face's tokenizers reports.
	Chars []Span
}
