// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// file is tokenizer.json, its fields in the order in which Hugging Face writes them.
type file struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// addedToken is a token that is found in the raw text before anything else looks at it.
type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// part is what every section has: its type.
type part struct {
	Type string `json:"type"`
}

// normalizerPart leaves its fields nil where they are missing. Only strip_accents may be: null means as lowercase.
type normalizerPart struct {
	part
	CleanText          *bool `json:"clean_text"`
	HandleChineseChars *bool `json:"handle_chinese_chars"`
	StripAccents       *bool `json:"strip_accents"`
	Lowercase          *bool `json:"lowercase"`
}

type templatePart struct {
	part
	Single        template                `json:"single"`
	Pair          template                `json:"pair"`
	SpecialTokens map[string]templateSpec `json:"special_tokens"`
}

type template []templatePiece

// templatePiece is a token or a place for a text: one of the two is set.
type templatePiece struct {
	SpecialToken *templateID `json:"SpecialToken,omitempty"`
	Sequence     *templateID `json:"Sequence,omitempty"`
}

type templateID struct {
	ID     string `json:"id"`
	TypeID int    `json:"type_id"`
}

type templateSpec struct {
	ID     string   `json:"id"`
	IDs    []int64  `json:"ids"`
	Tokens []string `json:"tokens"`
}

// templates are BERT's for one text and for two.
func templates(cls, sep string) (single, pair template) {
	token := func(name string, kind int) templatePiece {
		return templatePiece{SpecialToken: &templateID{name, kind}}
	}
	text := func(name string, kind int) templatePiece { return templatePiece{Sequence: &templateID{name, kind}} }
	single = template{token(cls, 0), text("A", 0), token(sep, 0)}
	return single, template{token(cls, 0), text("A", 0), token(sep, 0), text("B", 1), token(sep, 1)}
}

// String writes a template on one line: "[CLS]":0 $A:0 "[SEP]":0.
func (t template) String() string {
	words := make([]string, len(t))
	for i, p := range t {
		switch {
		case p.SpecialToken != nil:
			words[i] = fmt.Sprintf("%q:%d", p.SpecialToken.ID, p.SpecialToken.TypeID)
		case p.Sequence != nil:
			words[i] = fmt.Sprintf("$%s:%d", p.Sequence.ID, p.Sequence.TypeID)
		}
	}
	return strings.Join(words, " ")
}

// bertPart is the older spelling of the same post-processor.
type bertPart struct {
	part
	SEP namedID `json:"sep"`
	CLS namedID `json:"cls"`
}

// namedID is a token and its id, written as ["[SEP]", 102].
type namedID struct {
	name string
	id   int64
}

func (n *namedID) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&n.name, &n.id})
}

type decoderPart struct {
	part
	Prefix  string `json:"prefix"`
	Cleanup bool   `json:"cleanup"`
}

// modelPart is read with V = map[string]int64 and written with V = orderedVocab.
type modelPart[V any] struct {
	part
	UnkToken     string `json:"unk_token"`
	Prefix       string `json:"continuing_subword_prefix"`
	MaxWordChars int    `json:"max_input_chars_per_word"`
	Vocab        V      `json:"vocab"`
}

// orderedVocab is written as an object of tokens and their indices, in the order of the indices.
type orderedVocab []string

func (v orderedVocab) MarshalJSON() ([]byte, error) {
	out := bytes.NewBufferString("{")
	for id, token := range v {
		if id > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(out, "%s:%d", rawJSON(token), id)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// rawJSON encodes v, whose type must be one that always can be, without escaping <, > and &.
func rawJSON(v any) json.RawMessage {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("wordpiece: encoding %T: %v", v, err))
	}
	return bytes.TrimSpace(out.Bytes())
}
