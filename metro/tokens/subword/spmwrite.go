// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// marshal writes a model with all that SentencePiece needs of it.
func (m *spm) marshal(cls, sep, pad string) []byte {
	var out []byte
	unk := ""
	for _, p := range m.pieces {
		var piece []byte
		piece = appendBytes(piece, 1, []byte(p.text))
		piece = protowire.AppendTag(piece, 2, protowire.Fixed32Type)
		piece = protowire.AppendFixed32(piece, math.Float32bits(p.score))
		piece = appendNumber(piece, 3, uint64(p.kind))
		out = appendBytes(out, 1, piece)
		if p.kind == spmUnknown {
			unk = p.text
		}
	}
	id := func(token string) uint64 {
		return uint64(slices.IndexFunc(m.pieces, func(p spmPiece) bool { return p.text == token }))
	}
	var trainer []byte
	kind := uint64(1)
	if m.bpe {
		kind = 2
	}
	trainer = appendNumber(trainer, 3, kind)
	trainer = appendNumber(trainer, 4, uint64(len(m.pieces)))
	trainer = appendNumber(trainer, 35, protowire.EncodeBool(m.fallback))
	for i, token := range []string{unk, cls, sep, pad} { // unk, bos, eos and pad: their ids and how they are written
		trainer = appendNumber(trainer, protowire.Number(40+i), id(token))
	}
	for i, token := range []string{unk, cls, sep, pad} {
		trainer = appendBytes(trainer, protowire.Number(45+i), []byte(token))
	}
	var normalizer []byte
	normalizer = appendBytes(normalizer, 1, []byte("user_defined"))
	normalizer = appendBytes(normalizer, 2, m.charsMap)
	normalizer = appendNumber(normalizer, 3, protowire.EncodeBool(m.dummy))
	normalizer = appendNumber(normalizer, 4, protowire.EncodeBool(m.trimSpaces))
	normalizer = appendNumber(normalizer, 5, protowire.EncodeBool(m.escape))
	return appendBytes(appendBytes(out, 2, trainer), 3, normalizer)
}

func appendNumber(dst []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

func appendBytes(dst []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), v)
}

// spmFile returns the tokenizer as a SentencePiece model; ok is false where one would not say all that tokenizer.json does.
func (t *Tokenizer) spmFile(c config) (data []byte, ok bool) {
	m := &spm{escape: true, pieces: t.spmPieces()}
	switch of := t.model.(type) {
	case *bpe:
		m.bpe, m.fallback = true, of.fallback
	case *unigram:
		m.fallback = of.fallback
	}
	if m.charsMap, ok = firstCharsMap(t.file.Normalizer); !ok {
		return nil, false
	}
	for _, settings := range [][2]bool{{true, true}, {true, false}, {false, true}, {false, false}} {
		m.dummy, m.trimSpaces = settings[0], settings[1]
		f := m.steps()
		if !bytes.Equal(canonical(f.PreTokenizer), t.file.PreTokenizer) || !bytes.Equal(canonical(f.Normalizer), t.file.Normalizer) {
			continue
		}
		data := m.marshal(string(c.CLS), string(c.SEP), string(c.PAD))
		again, err := c.parseSPM(data)
		return data, err == nil && bytes.Equal(again.JSON(), t.JSON())
	}
	return nil, false
}

// spmPieces returns the model's tokens with scores: those of Unigram, or the order of merges, behind which the characters
// follow.
func (t *Tokenizer) spmPieces() []spmPiece {
	list := make([]spmPiece, t.own)
	merged := make(map[string]int)
	if m, ok := t.model.(*bpe); ok {
		for _, p := range m.order {
			if _, twice := merged[p[0]+p[1]]; !twice {
				merged[p[0]+p[1]] = len(merged)
			}
		}
	}
	rank := len(merged)
	for id, token := range t.tokens[:t.own] {
		p := spmPiece{text: token, kind: spmNormal}
		if m, ok := t.model.(*unigram); ok {
			p.score = float32(m.scores[id])
		} else if at, ok := merged[token]; ok {
			p.score = -float32(at)
		} else if utf8.RuneCountInString(token) == 1 {
			p.score, rank = -float32(rank), rank+1
		}
		if _, isByte := fallbackByte(token); isByte {
			p.kind = spmByte
		}
		list[id] = p
	}
	for _, a := range t.file.AddedTokens {
		switch id := int32(a.ID); {
		case int(id) >= t.own:
		case id == t.special.UNK:
			list[id].kind = spmUnknown
		case id == t.special.MASK || !a.Special:
			list[id].kind = spmUserDefined
		default:
			list[id].kind = spmControl
		}
	}
	return list
}

// firstCharsMap returns the map that a normalizer section begins with, none where it has none.
func firstCharsMap(raw json.RawMessage) ([]byte, bool) {
	var n struct {
		List []struct {
			CharsMap []byte `json:"precompiled_charsmap"`
		} `json:"normalizers"`
	}
	if len(raw) > 0 && json.Unmarshal(raw, &n) != nil {
		return nil, false
	}
	if len(n.List) == 0 {
		return nil, true
	}
	return n.List[0].CharsMap, true
}

// whiteSpaceMap is a precompiled_charsmap that turns the white space of ASCII into spaces.
func whiteSpaceMap() []byte {
	const (
		children = 256 // the child of the root that c leads to is at children ^ c,
		leaves   = 512 // and its value where this turns another bit
		hasLeaf  = 1 << 8
	)
	var trie [1024]uint32
	trie[0] = children << 10
	for _, c := range []byte("\t\n\v\f\r") {
		trie[children^uint32(c)] = leaves<<10 | hasLeaf | uint32(c)
		trie[children^uint32(c)^leaves] = 1 << 31 // at the beginning of the texts
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(4*len(trie)))
	for _, unit := range trie {
		out = binary.LittleEndian.AppendUint32(out, unit)
	}
	return append(out, " \x00"...)
}
