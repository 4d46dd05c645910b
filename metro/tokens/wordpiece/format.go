// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"metrolab/internal/atomicfile"
)

// JSON returns the tokenizer as a tokenizer.json that Hugging Face's tokenizers loads. It is canonical: the same
// tokenizer gives the same bytes, [Parse] of them gives the same tokenizer, and a file that says the same in another
// order or layout comes out alike.
func (t *Tokenizer) JSON() []byte {
	r := t.rules
	raw := rawJSON(describe(
		t.added,
		normalizerPart{part{"BertNormalizer"}, &r.cleanText, &r.spaceIdeographs, t.stripWritten, &r.lowercase},
		namedID{t.Token(t.special.CLS), int64(t.special.CLS)}, namedID{t.Token(t.special.SEP), int64(t.special.SEP)},
		decoderPart{part{"WordPiece"}, t.prefix, t.cleanup},
		modelPart[orderedVocab]{
			part{"WordPiece"}, t.Token(t.special.UNK), t.prefix, t.maxWordChars, t.tokens[:len(t.pieces)],
		},
	))
	return indented(raw)
}

// describe puts together what a tokenizer.json says.
func describe(added []addedToken, n normalizerPart, cls, sep namedID, d decoderPart, m modelPart[orderedVocab]) file {
	single, pair := templates(cls.name, sep.name)
	spec := func(n namedID) templateSpec { return templateSpec{n.name, []int64{n.id}, []string{n.name}} }
	return file{
		Version:      "1.0",
		AddedTokens:  added,
		Normalizer:   rawJSON(n),
		PreTokenizer: rawJSON(part{"BertPreTokenizer"}),
		PostProcessor: rawJSON(templatePart{
			part{"TemplateProcessing"}, single, pair, map[string]templateSpec{cls.name: spec(cls), sep.name: spec(sep)},
		}),
		Decoder: rawJSON(d),
		Model:   rawJSON(m),
	}
}

// indented lays JSON out as the files have it.
func indented(raw json.RawMessage) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		panic(fmt.Sprintf("wordpiece: indenting own JSON: %v", err))
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// Hash returns the SHA-256 of [Tokenizer.JSON] in hexadecimal. It encodes the tokenizer anew each time.
func (t *Tokenizer) Hash() string {
	sum := sha256.Sum256(t.JSON())
	return hex.EncodeToString(sum[:])
}

// Save writes [Tokenizer.JSON] to path, all or nothing: a file that was there stays whole until the new one is.
func (t *Tokenizer) Save(path string) error { return save(path, t.JSON()) }

func save(path string, data []byte) error {
	if err := atomicfile.WriteFile(path, data); err != nil {
		return fmt.Errorf("saving tokenizer %s: %w", path, err)
	}
	return nil
}
