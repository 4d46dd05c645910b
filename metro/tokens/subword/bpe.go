// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// segment is a token of a word: its id, and the bytes of the word that it stands for.
type segment struct {
	id         int32
	start, end int32
}

// model takes words apart. Segments do not overlap, but for the bytes of an unknown character, and come in order.
type model interface {
	// segment appends the tokens of word, which is not empty, to dst. s holds buffers of the caller's.
	segment(dst []segment, word string, s *scratch) []segment
	// section is the model's section of tokenizer.json.
	section(tokens []string) any
}

// bpe is byte-pair encoding: a word's characters, or bytes, are merged two by two, always the pair that was learned first.
type bpe struct {
	merges    map[[2]int32]merged
	chars     map[rune]int32   // the tokens of one character
	bytes     [256]int32       // the tokens of one byte; −1 where there is none
	whole     map[string]int32 // with ignore_merges, words that are tokens
	order     [][2]string      // the merges as the file has them
	byteLevel bool             // words are bytes, whose tokens are written in the alphabet of bytes
	fallback  bool             // unknown characters are their bytes, <0x00> to <0xFF>
	fuse      bool             // unknown characters that touch are one token
	ignore    bool             // ignore_merges
	unk       int32            // −1 for none
	unkToken  *string
}

// merged is what a pair becomes, and how early it was learned.
type merged struct {
	rank, id int32
}

// bpePart is the model section.
type bpePart struct {
	parts.Section
	Dropout      *float64 `json:"dropout"`
	UnkToken     *string  `json:"unk_token"`
	Prefix       *string  `json:"continuing_subword_prefix"`
	Suffix       *string  `json:"end_of_word_suffix"`
	FuseUnk      bool     `json:"fuse_unk"`
	ByteFallback bool     `json:"byte_fallback"`
	IgnoreMerges bool     `json:"ignore_merges"`
}

type bpeIn struct {
	bpePart
	Vocab  map[string]int64  `json:"vocab"`
	Merges []json.RawMessage `json:"merges"`
}

type bpeOut struct {
	bpePart
	Vocab  parts.OrderedVocab `json:"vocab"`
	Merges [][2]string        `json:"merges"`
}

// readBPE reads the model section of a tokenizer.json; tokens are its vocabulary by id.
func readBPE(raw json.RawMessage, byteLevel bool) (m *bpe, tokens []string, err error) {
	var in bpeIn
	if err := parts.ReadSection("model", raw, "BPE", &in); err != nil {
		return nil, nil, err
	}
	switch {
	case in.Dropout != nil && *in.Dropout != 0:
		return nil, nil, usererr.New("the model has dropout %v, with which a text would be read differently every time", *in.Dropout)
	case in.Prefix != nil && *in.Prefix != "":
		return nil, nil, usererr.New("the model has the continuing_subword_prefix %q, which is not supported for BPE", *in.Prefix)
	case in.Suffix != nil && *in.Suffix != "":
		return nil, nil, usererr.New("the model has the end_of_word_suffix %q, which is not supported", *in.Suffix)
	}
	if tokens, err = parts.OrderVocab(in.Vocab); err != nil {
		return nil, nil, err
	}
	m = &bpe{byteLevel: byteLevel, fuse: in.FuseUnk, fallback: in.ByteFallback, ignore: in.IgnoreMerges, unk: -1, unkToken: in.UnkToken}
	if in.UnkToken != nil {
		id, ok := in.Vocab[*in.UnkToken]
		if !ok {
			return nil, nil, usererr.New("the model's unk_token %q is not in its vocabulary", *in.UnkToken)
		}
		m.unk = int32(id)
	}
	if m.order, err = readMerges(in.Merges); err != nil {
		return nil, nil, err
	}
	return m, tokens, m.finish(tokens, in.Vocab)
}

// readMerges reads merges written as "a b" or as ["a", "b"].
func readMerges(raw []json.RawMessage) ([][2]string, error) {
	list := make([][2]string, len(raw))
	for i, r := range raw {
		var both []string
		var line string
		if json.Unmarshal(r, &both) != nil {
			if json.Unmarshal(r, &line) == nil {
				both = strings.Split(line, " ")
			}
		}
		if len(both) != 2 || both[0] == "" || both[1] == "" {
			return nil, usererr.New("merge %d of the model is %.80s; it must be two tokens", i, r)
		}
		list[i] = [2]string(both)
	}
	return list, nil
}

// finish computes what follows from tokens and merges.
func (m *bpe) finish(tokens []string, ids map[string]int64) error {
	m.merges = make(map[[2]int32]merged, len(m.order))
	for rank, p := range m.order {
		left, hasLeft := ids[p[0]]
		right, hasRight := ids[p[1]]
		id, ok := ids[p[0]+p[1]]
		if !hasLeft || !hasRight || !ok {
			return usererr.New("merge %d of the model is of %q and %q; both, and what they make, must be in the vocabulary", rank, p[0], p[1])
		}
		m.merges[[2]int32{int32(left), int32(right)}] = merged{int32(rank), int32(id)}
	}
	m.chars, m.whole = make(map[rune]int32), make(map[string]int32)
	for b := range m.bytes {
		m.bytes[b] = -1
		name := byteName(b)
		if m.byteLevel {
			name = string(byteRunes[b])
		}
		if id, ok := ids[name]; ok {
			m.bytes[b] = int32(id)
		}
	}
	for id, token := range tokens {
		if r, size := utf8.DecodeRuneInString(token); size == len(token) {
			m.chars[r] = int32(id)
		}
		if !m.ignore {
			continue
		}
		if !m.byteLevel {
			m.whole[token] = int32(id)
		} else if word, ok := ofBytes(token); ok {
			m.whole[word] = int32(id)
		}
	}
	return nil
}

func (m *bpe) section(tokens []string) any {
	return bpeOut{
		bpePart{Section: parts.Section{Type: "BPE"}, UnkToken: m.unkToken, FuseUnk: m.fuse, ByteFallback: m.fallback, IgnoreMerges: m.ignore},
		tokens, m.order,
	}
}

// symbol is a token of a word that is being merged, in a list with those before and after it.
type symbol struct {
	segment
	prev, next int32 // −1 for none
}

func (m *bpe) segment(dst []segment, word string, s *scratch) []segment {
	if id, ok := m.whole[word]; ok {
		return append(dst, segment{id, 0, int32(len(word))})
	}
	s.symbols = s.symbols[:0]
	if m.byteLevel {
		m.spell(word, s)
	} else {
		m.spellChars(word, s)
	}
	m.merge(s)
	for at := int32(0); at >= 0 && int(at) < len(s.symbols); at = s.symbols[at].next {
		dst = append(dst, s.symbols[at].segment)
	}
	return dst
}

// add appends a symbol of n bytes. Like Hugging Face's tokenizers, it counts nothing for what has no token.
func (s *scratch) add(id int32, n int) {
	at, start := int32(len(s.symbols)), int32(0)
	if at > 0 {
		s.symbols[at-1].next = at
		start = s.symbols[at-1].end
	}
	s.symbols = append(s.symbols, symbol{segment{id, start, start + int32(n)}, at - 1, -1})
}

// spell makes a symbol of every byte.
func (m *bpe) spell(word string, s *scratch) {
	unknown := 0
	for i := range len(word) {
		unknown = m.next(m.bytes[word[i]], 1, unknown, s)
	}
	s.addUnknown(m.unk, unknown)
}

// spellChars makes a symbol of every character, or of its bytes.
func (m *bpe) spellChars(word string, s *scratch) {
	unknown := 0
	for i, r := range word {
		size := utf8.RuneLen(r)
		id, ok := m.chars[r]
		if !ok {
			id = -1
			if m.fallback && m.spellFallback(word[i:i+size], s) {
				continue
			}
		}
		unknown = m.next(id, size, unknown, s)
	}
	s.addUnknown(m.unk, unknown)
}

// next adds a symbol of n bytes behind the unknown ones before it, or counts it as unknown too where id is −1, and returns
// how many unknown bytes wait for their symbol.
func (m *bpe) next(id int32, n, unknown int, s *scratch) int {
	if id >= 0 {
		s.addUnknown(m.unk, unknown)
		s.add(id, n)
		return 0
	}
	if unknown > 0 && !m.fuse {
		s.addUnknown(m.unk, unknown)
		unknown = 0
	}
	return unknown + n
}

func (s *scratch) addUnknown(unk int32, n int) {
	if n > 0 && unk >= 0 {
		s.add(unk, n)
	}
}

// spellFallback makes a symbol of every byte of a character, if all have one.
func (m *bpe) spellFallback(char string, s *scratch) bool {
	for i := range len(char) {
		if m.bytes[char[i]] < 0 {
			return false
		}
	}
	for i := range len(char) {
		s.add(m.bytes[char[i]], 1)
	}
	return true
}

// merge merges the symbols until no pair of neighbors is known, the pair of the lowest rank first, of equals the leftmost.
// It takes n log n steps for n symbols.
func (m *bpe) merge(s *scratch) {
	q := s.queue[:0]
	list := s.symbols
	for i := 1; i < len(list); i++ {
		if to, ok := m.merges[[2]int32{list[i-1].id, list[i].id}]; ok {
			q = append(q, candidate{to.rank, int32(i - 1), to.id})
		}
	}
	for i := len(q)/2 - 1; i >= 0; i-- {
		q.down(i)
	}
	for len(q) > 0 {
		top := q.pop()
		left := &list[top.at]
		if left.id < 0 || left.next < 0 {
			continue
		}
		right := &list[left.next]
		if now, ok := m.merges[[2]int32{left.id, right.id}]; !ok || now.id != top.id {
			continue // something else has been merged here
		}
		left.id, left.end, left.next = top.id, right.end, right.next
		right.id = -1
		if left.next >= 0 {
			list[left.next].prev = top.at
			if to, ok := m.merges[[2]int32{left.id, list[left.next].id}]; ok {
				q.push(candidate{to.rank, top.at, to.id})
			}
		}
		if left.prev >= 0 {
			if to, ok := m.merges[[2]int32{list[left.prev].id, left.id}]; ok {
				q.push(candidate{to.rank, left.prev, to.id})
			}
		}
	}
	s.queue = q
}

// candidate is a pair that can be merged: its rank, the place of its first symbol, what it becomes.
type candidate struct {
	rank, at, id int32
}

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.at < d.at
}

// candidates is a heap, with the first to be merged at the top. (Package container/heap would allocate at every push.)
type candidates []candidate

func (q *candidates) push(c candidate) {
	h := append(*q, c)
	i := len(h) - 1
	for i > 0 && c.before(h[(i-1)/2]) {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i], *q = c, h
}

func (q *candidates) pop() candidate {
	h := *q
	top, last := h[0], len(h)-1
	h[0], *q = h[last], h[:last]
	if last > 0 {
		h[:last].down(0)
	}
	return top
}

func (q candidates) down(i int) {
	c := q[i]
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].before(q[child]) {
			child++
		}
		if !q[child].before(c) {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = c
}
