// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"metrolab/internal/usererr"
)

// charsMap is SentencePiece's precompiled_charsmap: what becomes of which characters, as a double-array trie (Darts) whose
// values are places in a block of texts that end in a zero.
type charsMap struct {
	trie  []uint32
	texts []byte
}

func newCharsMap(blob []byte) (*charsMap, error) {
	if len(blob) == 0 {
		return &charsMap{}, nil
	}
	if len(blob) < 4 {
		return nil, usererr.New("the precompiled_charsmap is damaged: it has %d bytes", len(blob))
	}
	size := int64(binary.LittleEndian.Uint32(blob))
	if size%4 != 0 || size == 0 || size > int64(len(blob)-4) || !utf8.Valid(blob[4+size:]) {
		return nil, usererr.New("the precompiled_charsmap is damaged: of its %d bytes, a trie of %d cannot be read, or what follows is not text", len(blob), size)
	}
	m := &charsMap{trie: make([]uint32, size/4), texts: blob[4+size:]}
	for i := range m.trie {
		m.trie[i] = binary.LittleEndian.Uint32(blob[4+4*i:])
	}
	return m, nil
}

// find returns what the shortest beginning of text that is known becomes. This is how Hugging Face's tokenizers reads the
// map; it asks for whole characters.
func (m *charsMap) find(text string) ([]byte, bool) {
	if len(m.trie) == 0 {
		return nil, false
	}
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	at := offset(m.trie[0])
	for _, c := range []byte(text) {
		at ^= uint32(c)
		if c == 0 || at >= uint32(len(m.trie)) || m.trie[at]&(1<<31|0xFF) != uint32(c) {
			return nil, false
		}
		unit := m.trie[at]
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if at >= uint32(len(m.trie)) {
			return nil, false
		}
		value := m.trie[at] & (1<<31 - 1)
		if value > uint32(len(m.texts)) {
			return nil, false
		}
		found := m.texts[value:]
		if end := bytes.IndexByte(found, 0); end >= 0 {
			found = found[:end]
		}
		return found, true
	}
	return nil, false
}

// normalize applies the map to user-perceived characters of up to five bytes, and where it does not know one to the
// characters that it is made of.
func (m *charsMap) normalize(p piece, track bool) piece {
	const longest = 5
	w := rewrite(p, track)
	state, rest, cluster := -1, p.text, ""
	for rest != "" {
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if len(cluster) <= longest {
			if new, ok := m.find(cluster); ok {
				w.exchange(cluster, new)
				continue
			}
		}
		for _, r := range cluster {
			if new, ok := m.find(string(r)); ok {
				w.exchange(string(r), new)
			} else {
				w.put(r, 0)
			}
		}
	}
	return w.piece()
}

// exchange puts new in the place of old. If there are more characters than before, the last ones are new; if there are
// fewer, the last one stands for what is left out, or the one before where none remains.
func (w *rewriter) exchange(old string, new []byte) {
	before, after := utf8.RuneCountInString(old), utf8.RuneCount(new)
	if after == 0 {
		if len(w.out) > 0 { // at the beginning of a text, Hugging Face's tokenizers does not count what is left out
			w.skip(before)
		}
		return
	}
	for i := 0; len(new) > 0; i++ {
		r, size := utf8.DecodeRune(new)
		new = new[size:]
		switch {
		case i >= before:
			w.put(r, 1)
		case i == after-1:
			w.put(r, after-before)
		default:
			w.put(r, 0)
		}
	}
}
