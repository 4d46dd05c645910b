// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"strings"
	"sync"
	"unicode/utf8"

	"metrolab/metro/tokens"
	"metrolab/metro/tokens/internal/parts"
)

// Tokenizer is a WordPiece tokenizer with its normalizer, as one tokenizer.json describes it. It does not change after
// it was made, and all its methods may be called from several goroutines at once.
type Tokenizer struct {
	rules
	stripWritten *bool            // strip_accents as the file has it; rules has what it means
	tokens       []string         // by id: the model's, then those that were only added
	pieces       map[string]int32 // the model's tokens
	addedIDs     map[string]int32
	added        []parts.AddedToken // by id
	special      Special
	prefix       string
	maxWordChars int
	cleanup      bool // of the decoder

	// What follows from the above.
	matcher       parts.Matcher
	isSpecial     []bool
	continuing    map[string]int32 // the pieces that begin with prefix, without it
	longestFirst  int              // the characters of the longest piece
	longestInside int              // the same of continuing
	encoders      sync.Pool
}

// finish computes what follows from what a tokenizer.json says.
func (t *Tokenizer) finish() {
	t.matcher = parts.NewMatcher(t.addedIDs)
	t.isSpecial = make([]bool, len(t.tokens))
	for _, a := range t.added {
		t.isSpecial[a.ID] = a.Special
	}
	t.continuing = make(map[string]int32)
	for token, id := range t.pieces {
		t.longestFirst = max(t.longestFirst, utf8.RuneCountInString(token))
		if rest, ok := strings.CutPrefix(token, t.prefix); ok {
			t.continuing[rest] = id
			t.longestInside = max(t.longestInside, utf8.RuneCountInString(rest))
		}
	}
	t.encoders.New = func() any { return &encoder{Tokenizer: t, splitter: splitter{normalizer{rules: t.rules}}} }
}

// VocabSize is the number of tokens, added ones included. Every id is in [0, VocabSize).
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// ID returns the id of a token as the vocabulary writes it (a continuing piece with its prefix).
func (t *Tokenizer) ID(token string) (id int32, ok bool) {
	if id, ok = t.addedIDs[token]; ok {
		return id, true
	}
	id, ok = t.pieces[token]
	return id, ok
}

// Token returns the token of an id, and "" for an id outside [0, VocabSize).
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// Special returns the ids of the padding, unknown, begin, separator and mask tokens.
func (t *Tokenizer) Special() Special { return t.special }

// Pair is BERT's: [CLS] first [SEP] second [SEP].
func (t *Tokenizer) Pair() tokens.Template { return tokens.BertTemplate(t.special) }

// IsSpecial reports whether id is a special token: one of [Special] or another added token marked so.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.isSpecial) && t.isSpecial[id]
}

// IsContinuation reports whether id is a piece that continues a word (begins with ##).
func (t *Tokenizer) IsContinuation(id int32) bool {
	return strings.HasPrefix(t.Token(id), t.prefix)
}

// Bytes returns what a token is written with: the letters of a piece, behind the space before it where it does not continue a word,
// so that a word and a piece of the same letters differ. It is nil for a special token and for an id outside [0, VocabSize).
func (t *Tokenizer) Bytes(id int32) []byte {
	token := t.Token(id)
	switch {
	case token == "" || t.IsSpecial(id):
		return nil
	case t.IsContinuation(id):
		return []byte(token[len(t.prefix):])
	}
	return []byte(" " + token)
}

// Decode joins the tokens of ids into text, special tokens and ids outside the vocabulary left out: continuing pieces
// are glued on, other tokens set apart by a space, and the spaces before English punctuation removed where the
// tokenizer's decoder says so.
func (t *Tokenizer) Decode(ids []int32) string {
	var out strings.Builder
	first := true
	for _, id := range ids {
		token := t.Token(id)
		if token == "" || t.IsSpecial(id) {
			continue
		}
		if rest, ok := strings.CutPrefix(token, t.prefix); !first && ok {
			token = rest
		} else if !first {
			token = " " + token
		}
		first = false
		if t.cleanup {
			token = tidy(token)
		}
		out.WriteString(token)
	}
	return out.String()
}

// tidies are applied one after the other to each token, as Hugging Face's WordPiece decoder does.
var tidies = []struct{ old, new string }{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
	{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

func tidy(token string) string {
	for _, r := range tidies {
		token = strings.ReplaceAll(token, r.old, r.new)
	}
	return token
}
