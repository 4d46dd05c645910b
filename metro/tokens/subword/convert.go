// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"metrolab/internal/bounded"
	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
	"metrolab/metro/tokens/internal/parts"
)

// spmName is the file of a SentencePiece model in a folder.
const spmName = "spiece.model"

// spmSpace is how SentencePiece writes a space.
const spmSpace = "▁"

// spmClasses read spiece.model without rules of their own. A config may name none.
var spmClasses = []string{"", "PreTrainedTokenizer", "PreTrainedTokenizerFast"}

// loadSPM reads the tokenizer of a folder without tokenizer.json, from spiece.model and the special tokens that the config names.
func (c *config) loadSPM(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, spmName)
	data, err := bounded.ReadFile(path, tokens.FileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usererr.New("no tokenizer in %s: it has neither a %s nor a %s", dir, parts.JSONName, spmName)
	case err != nil:
		return nil, err
	}
	if !slices.Contains(spmClasses, c.Class) {
		return nil, usererr.New("tokenizer %s: its class in %s is %s, which reads a %s by rules of its own; save the folder with a program that writes %s", dir, parts.ConfigName, c.Class, spmName, parts.JSONName)
	}
	t, err := c.parseSPM(data)
	if err != nil {
		return nil, usererr.New("tokenizer %s: %w", path, err)
	}
	return t, nil
}

// parseSPM makes the tokenizer of a SentencePiece model: the tokenizer.json that says the same, read. It differs from
// SentencePiece where Hugging Face's converters do: control symbols are recognized in texts, user-defined symbols part a text
// before it is normalized, and characters are normalized one at a time.
func (c *config) parseSPM(data []byte) (*Tokenizer, error) {
	m, err := readSPM(data)
	if err != nil {
		return nil, err
	}
	return c.tokenizer(m, m.steps())
}

// tokenizer makes the tokenizer of a SentencePiece model; f describes what comes before and after the model.
func (c *config) tokenizer(m *spm, f parts.File) (t *Tokenizer, err error) {
	if f.Model, err = m.model(); err != nil {
		return nil, err
	}
	ids := make(map[string]int64, len(m.pieces))
	for id, p := range m.pieces {
		ids[p.text] = int64(id)
		if p.kind == spmUnknown || p.kind == spmControl || p.kind == spmUserDefined {
			f.AddedTokens = append(f.AddedTokens, parts.AddedToken{ID: int64(id), Content: p.text, Special: p.kind != spmUserDefined || c.named(p.text)})
		}
	}
	for _, name := range []parts.TokenName{c.PAD, c.CLS, c.SEP, c.MASK} {
		if _, ok := ids[string(name)]; !ok && name != "" {
			ids[string(name)] = int64(len(ids))
			f.AddedTokens = append(f.AddedTokens, parts.AddedToken{ID: ids[string(name)], Content: string(name), Special: true})
		}
	}
	cls, sep, bert := m.ends(c, ids)
	single, pair := parts.BertTemplates(cls, sep)
	if !bert {
		pair = parts.RobertaPair(cls, sep)
	}
	for _, name := range []string{cls, sep} {
		if _, ok := ids[name]; !ok {
			return nil, usererr.New("it has no token to put before a text and none after it: %q is no piece; name them as cls_token and sep_token in %s", name, parts.ConfigName)
		}
	}
	f.PostProcessor = parts.RawJSON(parts.NewTemplate(single, pair, map[string]int64{cls: ids[cls], sep: ids[sep]}))
	return Parse(parts.RawJSON(f))
}

// named reports whether the token has a use: one that the config gives it, or the usual one of its name.
func (c *config) named(token string) bool {
	return slices.Contains([]string{"[PAD]", "<pad>", "[MASK]", "<mask>", "[CLS]", "[SEP]", "<s>", "</s>", string(c.PAD), string(c.MASK), string(c.CLS), string(c.SEP)}, token)
}

// ends returns the tokens before and after a text: those of the config, or [CLS] and [SEP], or <s> and </s>; and whether pairs
// are BERT's.
func (m *spm) ends(c *config, ids map[string]int64) (cls, sep string, bert bool) {
	_, bert = ids["[CLS]"]
	cls, sep = "<s>", "</s>"
	if bert {
		cls, sep = "[CLS]", "[SEP]"
	}
	return cmp.Or(string(c.CLS), cls), cmp.Or(string(c.SEP), sep), bert
}

// steps describes what comes before and after the model in a tokenizer.json.
func (m *spm) steps() parts.File {
	type object map[string]any
	var normalizers []object
	if len(m.charsMap) > 0 {
		normalizers = append(normalizers, object{"type": "Precompiled", "precompiled_charsmap": m.charsMap})
	}
	if m.trimSpaces {
		for _, r := range [][2]string{{`\A +`, ""}, {` +\z`, ""}, {" {2,}", " "}} {
			normalizers = append(normalizers, object{"type": "Replace", "pattern": object{"Regex": r[0]}, "content": r[1]})
		}
	}
	scheme := "never"
	switch {
	case m.dummy && m.trimSpaces:
		scheme = "always" // the space that is cut off behind a symbol is put back
	case m.dummy:
		scheme = "first"
	}
	metaspace := object{"type": "Metaspace", "replacement": spmSpace, "prepend_scheme": scheme, "split": !m.crossesSpaces()}
	decoder := metaspace
	if m.fallback {
		list := []object{{"type": "Replace", "pattern": object{"String": spmSpace}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
		if m.dummy {
			list = append(list, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
		}
		decoder = object{"type": "Sequence", "decoders": list}
	}
	f := parts.File{Version: "1.0", PreTokenizer: parts.RawJSON(metaspace), Decoder: parts.RawJSON(decoder)}
	if normalizers != nil {
		f.Normalizer = parts.RawJSON(object{"type": "Sequence", "normalizers": normalizers})
	}
	return f
}

// crossesSpaces reports whether a piece has a space in it or at its end, so that a text cannot be cut before spaces.
func (m *spm) crossesSpaces() bool {
	return slices.ContainsFunc(m.pieces, func(p spmPiece) bool {
		return p.kind == spmNormal && strings.LastIndex(p.text, spmSpace) > 0
	})
}

// model describes the model.
func (m *spm) model() (json.RawMessage, error) {
	var unk *int64
	ids := make(map[string]int64, len(m.pieces))
	for id, p := range m.pieces {
		if other, twice := ids[p.text]; twice || p.text == "" || !utf8.ValidString(p.text) {
			return nil, usererr.New("piece %d, %q, is empty, is no text, or stands there as piece %d too", id, p.text, other)
		}
		ids[p.text] = int64(id)
		if p.kind == spmUnknown {
			unk = &[]int64{int64(id)}[0]
		}
	}
	if unk == nil {
		return nil, usererr.New("it has no piece for what is unknown")
	}
	if m.bpe {
		token := m.pieces[*unk].text
		part := bpePart{Section: parts.Section{Type: "BPE"}, UnkToken: &token, FuseUnk: true, ByteFallback: m.fallback}
		return parts.RawJSON(bpeOut{part, m.texts(), m.merges()}), nil
	}
	part := unigramPart{Section: parts.Section{Type: "Unigram"}, UnkID: unk, ByteFallback: m.fallback}
	for _, p := range m.pieces {
		part.Vocab = append(part.Vocab, entry{p.text, float64(p.score)})
	}
	return parts.RawJSON(part), nil
}

func (m *spm) texts() []string {
	list := make([]string, len(m.pieces))
	for id, p := range m.pieces {
		list[id] = p.text
	}
	return list
}

// merges returns every pair of pieces that makes a piece, those that make one of a higher score first; of one score those of
// the lower ids.
func (m *spm) merges() [][2]string {
	ids := make(map[string]int)
	for id, p := range m.pieces {
		if p.kind == spmNormal {
			ids[p.text] = id
		}
	}
	type ranked struct {
		pair            [2]string
		score           float32
		id, left, right int
	}
	var list []ranked
	for id, p := range m.pieces {
		if p.kind != spmNormal {
			continue
		}
		for i := range p.text {
			left, hasLeft := ids[p.text[:i]]
			right, hasRight := ids[p.text[i:]]
			if hasLeft && hasRight {
				list = append(list, ranked{[2]string{p.text[:i], p.text[i:]}, p.score, id, left, right})
			}
		}
	}
	slices.SortFunc(list, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	pairs := make([][2]string, len(list))
	for i, r := range list {
		pairs[i] = r.pair
	}
	return pairs
}
