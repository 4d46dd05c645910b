// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"metrolab/metro/tokens"
	"metrolab/metro/tokens/internal/parts"
)

// Tokenizer is a BPE or Unigram tokenizer with all that its tokenizer.json says. It does not change after it was made, and
// all its methods may be called from several goroutines at once.
type Tokenizer struct {
	file   parts.File // its sections but for the model, in canonical form
	tokens []string   // by id: the model's, then those that were only added
	own    int        // how many of them are the model's
	ids    map[string]int32

	normalizers []normalizer
	pre         preTokenizer
	model       model
	decoders    []decoder
	trim        bool   // places leave out white space at the ends of tokens
	prefixSpace bool   // a first token's one space was put there
	space       string // what the vocabulary writes for a space, "" if nothing

	special    tokens.Special
	pair       tokens.Template
	isSpecial  []bool
	continuing []bool
	decoded    map[int32]string // tokens that stand for another text than they are written
	raw        added            // tokens that are found before text is normalized
	normalized added            // those that are found after

	encoders sync.Pool
}

// VocabSize is the number of tokens, added ones included.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Token returns the token of an id as the vocabulary writes it, and "" for an id outside [0, VocabSize).
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// Special returns the ids of the padding, unknown, begin, separator and mask tokens.
func (t *Tokenizer) Special() tokens.Special { return t.special }

// Pair says how two texts are put together, as the file's post-processor does.
func (t *Tokenizer) Pair() tokens.Template { return t.pair }

// IsSpecial reports whether id is a special token.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.isSpecial) && t.isSpecial[id]
}

// IsContinuation reports whether id is a piece that continues a word: one that is not special and does not begin with white
// space, which a vocabulary writes as Ġ or ▁. So the first word of a text is taken for a continuation where nothing puts a
// space before it, and so is punctuation. Where a vocabulary does not say where words begin, nothing continues one.
func (t *Tokenizer) IsContinuation(id int32) bool {
	return id >= 0 && int(id) < len(t.continuing) && t.continuing[id]
}

// Bytes returns what a token is written with: the bytes that it writes in GPT-2's alphabet, the one of <0x00> to <0xFF>, or its
// characters, with a space for what the vocabulary writes for one. It is nil for a special token and for an id outside
// [0, VocabSize).
func (t *Tokenizer) Bytes(id int32) []byte {
	token := t.Token(id)
	if token == "" || t.IsSpecial(id) {
		return nil
	}
	if t.pre.byteLevel {
		if bytes, ok := ofBytes(token); ok {
			return []byte(bytes)
		}
		return []byte(token)
	}
	if b, ok := fallbackByte(token); ok {
		return []byte{b}
	}
	token = cmp.Or(t.decoded[id], token)
	if t.space != "" {
		token = strings.ReplaceAll(token, t.space, " ")
	}
	return []byte(token)
}

// continues computes IsContinuation.
func (t *Tokenizer) continues() {
	t.continuing = make([]bool, len(t.tokens))
	for id, token := range t.tokens {
		if t.pre.byteLevel {
			token, _ = ofBytes(token)
		}
		r, _ := utf8.DecodeRuneInString(token)
		t.continuing[id] = t.space != "" && !t.isSpecial[id] && token != "" && !unicode.IsSpace(r) && !strings.HasPrefix(token, t.space)
	}
}

// JSON returns the tokenizer as a tokenizer.json that Hugging Face's tokenizers loads. It is canonical: a file that says the
// same in another order or layout comes out alike, and [Parse] of it gives the same tokenizer.
func (t *Tokenizer) JSON() []byte {
	f := t.file
	f.Model = parts.RawJSON(t.model.section(t.tokens[:t.own]))
	return parts.Indented(parts.RawJSON(f))
}

// Hash returns the SHA-256 of [Tokenizer.JSON] in hexadecimal. It encodes the tokenizer anew each time.
func (t *Tokenizer) Hash() string {
	sum := sha256.Sum256(t.JSON())
	return hex.EncodeToString(sum[:])
}

// Save writes [Tokenizer.JSON] to path, all or nothing.
func (t *Tokenizer) Save(path string) error { return parts.Save(path, t.JSON()) }

// Decode joins the tokens of ids into text as the file's decoder does, special tokens and ids outside the vocabulary left
// out.
func (t *Tokenizer) Decode(ids []int32) string {
	var list []string
	for _, id := range ids {
		if token := t.Token(id); token != "" && !t.IsSpecial(id) {
			list = append(list, cmp.Or(t.decoded[id], token))
		}
	}
	if t.decoders == nil {
		return strings.Join(list, " ")
	}
	for _, d := range t.decoders {
		list = d(list)
	}
	return strings.Join(list, "")
}

// canonical is a section as encoding/json writes it: its keys in the order of the alphabet.
func canonical(raw json.RawMessage) json.RawMessage {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil || v == nil {
		return nil
	}
	return parts.RawJSON(v)
}
