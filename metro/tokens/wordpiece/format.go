// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"crypto/sha256"
	"encoding/hex"

	"metrolab/metro/tokens/internal/parts"
)

// JSON returns the tokenizer as a tokenizer.json that Hugging Face's tokenizers loads. It is canonical: the same
// tokenizer gives the same bytes, [Parse] of them gives the same tokenizer, and a file that says the same in another
// order or layout comes out alike.
func (t *Tokenizer) JSON() []byte {
	r := t.rules
	raw := parts.RawJSON(describe(
		t.added,
		normalizerPart{section("BertNormalizer"), &r.cleanText, &r.spaceIdeographs, t.stripWritten, &r.lowercase},
		t.named(t.special.CLS), t.named(t.special.SEP),
		decoderPart{section("WordPiece"), t.prefix, t.cleanup},
		modelPart[parts.OrderedVocab]{
			section("WordPiece"), t.Token(t.special.UNK), t.prefix, t.maxWordChars, t.tokens[:len(t.pieces)],
		},
	))
	return parts.Indented(raw)
}

// describe puts together what a tokenizer.json says.
func describe(added []parts.AddedToken, n normalizerPart, cls, sep parts.NamedID, d decoderPart, m modelPart[parts.OrderedVocab]) parts.File {
	single, pair := parts.BertTemplates(cls.Name, sep.Name)
	return parts.File{
		Version:       "1.0",
		AddedTokens:   added,
		Normalizer:    parts.RawJSON(n),
		PreTokenizer:  parts.RawJSON(section("BertPreTokenizer")),
		PostProcessor: parts.RawJSON(parts.NewTemplate(single, pair, map[string]int64{cls.Name: cls.ID, sep.Name: sep.ID})),
		Decoder:       parts.RawJSON(d),
		Model:         parts.RawJSON(m),
	}
}

// named returns an id with its token.
func (t *Tokenizer) named(id int32) parts.NamedID {
	return parts.NamedID{Name: t.Token(id), ID: int64(id)}
}

// Hash returns the SHA-256 of [Tokenizer.JSON] in hexadecimal. It encodes the tokenizer anew each time.
func (t *Tokenizer) Hash() string {
	sum := sha256.Sum256(t.JSON())
	return hex.EncodeToString(sum[:])
}

// Save writes [Tokenizer.JSON] to path, all or nothing: a file that was there stays whole until the new one is.
func (t *Tokenizer) Save(path string) error { return parts.Save(path, t.JSON()) }
