// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"metrolab/internal/bounded"
	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
)

// File is tokenizer.json, its fields in the order in which Hugging Face writes them.
type File struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []AddedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// AddedToken is a token that is found in the text before the model looks at it.
type AddedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// Section is what every section has: its type.
type Section struct {
	Type string `json:"type"`
}

// ReadSection decodes one section of a file, which must be of the wanted type.
func ReadSection(name string, raw json.RawMessage, want string, into any) error {
	if found := Kind(raw); found != want {
		return usererr.New("the %s is %s; only %s is supported", name, found, want)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return usererr.New("the %s cannot be read: %w", name, err)
	}
	return nil
}

// Kind names the type of a section for comparison and for error messages.
func Kind(raw json.RawMessage) string {
	var s Section
	switch err := json.Unmarshal(raw, &s); {
	case len(raw) == 0:
		return "missing"
	case string(raw) == "null":
		return "null"
	case err != nil || s.Type == "":
		return "of no type"
	}
	return s.Type
}

// TemplatePart is a TemplateProcessing post-processor.
type TemplatePart struct {
	Section
	Single        Template                `json:"single"`
	Pair          Template                `json:"pair"`
	SpecialTokens map[string]TemplateSpec `json:"special_tokens"`
}

// Template is how one text or two are put together.
type Template []TemplatePiece

// TemplatePiece is a token or a place for a text: one of the two is set.
type TemplatePiece struct {
	SpecialToken *TemplateID `json:"SpecialToken,omitempty"`
	Sequence     *TemplateID `json:"Sequence,omitempty"`
}

// TemplateID names the token, or the text: A or B.
type TemplateID struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

// TemplateSpec says what a name in a template stands for.
type TemplateSpec struct {
	ID     string   `json:"id"`
	IDs    []int64  `json:"ids"`
	Tokens []string `json:"tokens"`
}

// BertTemplates are BERT's for one text and for two.
func BertTemplates(cls, sep string) (single, pair Template) {
	single = Template{token(cls, 0), place("A", 0), token(sep, 0)}
	return single, append(slices.Clone(single), place("B", 1), token(sep, 1))
}

// RobertaPair is RoBERTa's template for two texts.
func RobertaPair(cls, sep string) Template {
	return Template{token(cls, 0), place("A", 0), token(sep, 0), token(sep, 0), place("B", 0), token(sep, 0)}
}

func token(name string, kind int32) TemplatePiece {
	return TemplatePiece{SpecialToken: &TemplateID{name, kind}}
}

func place(name string, kind int32) TemplatePiece {
	return TemplatePiece{Sequence: &TemplateID{name, kind}}
}

// NewTemplate describes a post-processor of these templates.
func NewTemplate(single, pair Template, ids map[string]int64) TemplatePart {
	p := TemplatePart{Section{"TemplateProcessing"}, single, pair, map[string]TemplateSpec{}}
	for name, id := range ids {
		p.SpecialTokens[name] = TemplateSpec{name, []int64{id}, []string{name}}
	}
	return p
}

// String writes a template on one line: "[CLS]":0 $A:0 "[SEP]":0.
func (t Template) String() string {
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

// EndsPart is a BertProcessing or RobertaProcessing post-processor.
type EndsPart struct {
	Section
	SEP            NamedID `json:"sep"`
	CLS            NamedID `json:"cls"`
	TrimOffsets    *bool   `json:"trim_offsets,omitempty"`
	AddPrefixSpace *bool   `json:"add_prefix_space,omitempty"`
}

// NamedID is a token and its id, written as ["[SEP]", 102].
type NamedID struct {
	Name string
	ID   int64
}

// UnmarshalJSON reads it.
func (n *NamedID) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&n.Name, &n.ID})
}

// MarshalJSON writes it.
func (n NamedID) MarshalJSON() ([]byte, error) { return RawJSON([]any{n.Name, n.ID}), nil }

// OrderedVocab is written as an object of tokens and their indices, in the order of the indices.
type OrderedVocab []string

// MarshalJSON writes it.
func (v OrderedVocab) MarshalJSON() ([]byte, error) {
	out := bytes.NewBufferString("{")
	for id, token := range v {
		if id > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(out, "%s:%d", RawJSON(token), id)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// OrderVocab turns ids by token into tokens by id: each must have one of the ids from 0 up.
func OrderVocab(vocab map[string]int64) ([]string, error) {
	size := int64(len(vocab))
	list := make([]string, size)
	for token, id := range vocab {
		switch {
		case token == "":
			return nil, usererr.New("the vocabulary holds an empty token with id %d", id)
		case id < 0 || id >= size:
			return nil, usererr.New("token %q has id %d; %d tokens must have the ids 0 to %d", token, id, size, size-1)
		case list[id] != "":
			other := list[id]
			return nil, usererr.New("tokens %q and %q share the id %d", min(token, other), max(token, other), id)
		}
		list[id] = token
	}
	return list, nil
}

// RawJSON encodes v, whose type must be one that always can be, without escaping <, > and &.
func RawJSON(v any) json.RawMessage {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("tokens: encoding %T: %v", v, err))
	}
	return bytes.TrimSpace(out.Bytes())
}

// Indented lays JSON out as the files have it.
func Indented(raw json.RawMessage) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		panic(fmt.Sprintf("tokens: indenting own JSON: %v", err))
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// Load reads the tokenizer.json at path by parse.
func Load[T any](path string, parse func(data []byte) (T, error)) (T, error) {
	var none T
	data, err := bounded.ReadText(path, tokens.FileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return none, usererr.New("no tokenizer: %w", err)
	case err != nil:
		return none, err
	}
	t, err := parse(data)
	if err != nil {
		return none, usererr.New("tokenizer %s: %w", path, err)
	}
	return t, nil
}
