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
	ascii [utf8.RuneSelf]bool // the ASCII characters that become something else
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
	for r := range rune(utf8.RuneSelf) {
		_, m.ascii[r] = m.find(string(r))
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
	if m.keeps(p.text) {
		return p
	}
	out := make(exchanged, 0, len(p.text))
	for rest := p.text; rest != ""; {
		cluster := rest[:1]
		if apart(rest) {
			if !m.ascii[rest[0]] {
				out, rest = append(out, counted{rune(rest[0]), 0}), rest[1:]
				continue
			}
		} else {
			cluster, _, _, _ = uniseg.FirstGraphemeClusterInString(rest, -1)
		}
		rest = rest[len(cluster):]
		if len(cluster) <= longest {
			if new, ok := m.find(cluster); ok {
				out.exchange(cluster, new)
				continue
			}
		}
		for _, r := range cluster {
			if new, ok := m.find(string(r)); ok {
				out.exchange(string(r), new)
			} else {
				out = append(out, counted{r, 0})
			}
		}
	}
	w := rewrite(p, track)
	for _, c := range out {
		w.put(c.r, c.change)
	}
	return w.piece()
}

// keeps reports whether text is ASCII that nothing becomes of.
func (m *charsMap) keeps(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf || m.ascii[text[i]] {
			return false
		}
	}
	return true
}

// apart reports whether the first character of text is ASCII and what follows it another user-perceived character.
func apart(text string) bool {
	return text[0] < utf8.RuneSelf && (len(text) == 1 || text[1] < utf8.RuneSelf && text[:2] != "\r\n")
}

// counted is a character, and what the rewriter is told of it.
type counted struct {
	r      rune
	change int
}

type exchanged []counted

// exchange puts new in the place of old. If there are more characters than before, the last ones are new; if there are
// fewer, the last one stands for what is left out too.
func (out *exchanged) exchange(old string, new []byte) {
	before, after := utf8.RuneCountInString(old), utf8.RuneCount(new)
	list := *out
	for i := 0; len(new) > 0; i++ {
		r, size := utf8.DecodeRune(new)
		new = new[size:]
		list = append(list, counted{r, min(1, max(0, i+1-before))})
	}
	if n := len(list); after < before && n > 0 {
		list[n-1].change += after - before
	}
	*out = list
}
