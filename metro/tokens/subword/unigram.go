// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"encoding/json"
	"math"
	"unicode/utf8"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// unigram is SentencePiece's unigram language model: a word is the tokens with the highest sum of scores, which are log
// probabilities (Kudo 2018).
type unigram struct {
	trie     trie
	ids      map[string]int32
	scores   []float64
	bytes    [256]int32 // the tokens <0x00> to <0xFF>; −1 where there is none
	fallback bool       // an unknown character is its bytes
	unk      int32
	unkScore float64 // of a character that is no token
}

// unkPenalty is by how much an unknown character is worse than the worst token.
const unkPenalty = 10

type unigramPart struct {
	parts.Section
	UnkID        *int64  `json:"unk_id"`
	Vocab        []entry `json:"vocab"`
	ByteFallback bool    `json:"byte_fallback"`
}

// entry is a token and its score, written as ["▁the", -3.14].
type entry struct {
	token string
	score float64
}

func (e *entry) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&e.token, &e.score})
}

func (e entry) MarshalJSON() ([]byte, error) { return parts.RawJSON([]any{e.token, e.score}), nil }

// readUnigram reads the model section of a tokenizer.json; tokens are its vocabulary by id.
func readUnigram(raw json.RawMessage) (m *unigram, tokens []string, err error) {
	var in unigramPart
	if err := parts.ReadSection("model", raw, "Unigram", &in); err != nil {
		return nil, nil, err
	}
	if in.UnkID == nil || *in.UnkID < 0 || *in.UnkID >= int64(len(in.Vocab)) {
		return nil, nil, usererr.New("the model has no unk_id among its %d tokens", len(in.Vocab))
	}
	m = &unigram{ids: make(map[string]int32, len(in.Vocab)), unk: int32(*in.UnkID), fallback: in.ByteFallback}
	for id, e := range in.Vocab {
		if other, twice := m.ids[e.token]; twice || e.token == "" {
			return nil, nil, usererr.New("token %d of the vocabulary, %q, is empty or stands there as token %d too", id, e.token, other)
		}
		m.ids[e.token] = int32(id)
		tokens = append(tokens, e.token)
		m.scores = append(m.scores, e.score)
	}
	m.finish(tokens)
	return m, tokens, nil
}

func (m *unigram) finish(tokens []string) {
	m.trie = newTrie(tokens)
	worst := math.Inf(1)
	for _, s := range m.scores {
		worst = min(worst, s)
	}
	m.unkScore = worst - unkPenalty
	for b := range m.bytes {
		m.bytes[b] = -1
		if id, ok := m.ids[byteName(b)]; ok {
			m.bytes[b] = id
		}
	}
}

func (m *unigram) section(tokens []string) any {
	unk := int64(m.unk)
	out := unigramPart{Section: parts.Section{Type: "Unigram"}, UnkID: &unk, ByteFallback: m.fallback}
	for id, token := range tokens {
		out.Vocab = append(out.Vocab, entry{token, m.scores[id]})
	}
	return out
}

// step is the best way to a place in a word: its score, and its last token.
type step struct {
	score float64
	start int32 // where the last token begins; −1: nothing leads here
	id    int32
}

// segment finds the best way by dynamic programming over the places of the word (Viterbi), in as many steps as there are
// tokens that begin somewhere in it.
func (m *unigram) segment(dst []segment, word string, s *scratch) []segment {
	if cap(s.steps) <= len(word) {
		s.steps = make([]step, len(word)+1)
	}
	best := s.steps[:len(word)+1]
	for i := range best {
		best[i].start = -1
	}
	best[0].score = 0
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		here, single := best[at].score, false
		for node, end := int32(0), at; end < len(word); {
			if node = m.trie.child(node, word[end]); node < 0 {
				break
			}
			end++
			id := m.trie.nodes[node].id
			if id < 0 {
				continue
			}
			single = single || end == at+size
			if score := here + m.scores[id]; best[end].start < 0 || score > best[end].score {
				best[end] = step{score, int32(at), id}
			}
		}
		if end := at + size; !single {
			if score := here + m.unkScore; best[end].start < 0 || score > best[end].score {
				best[end] = step{score, int32(at), m.unk}
			}
		}
		at += size
	}
	s.path = s.path[:0]
	for end := int32(len(word)); end > 0; {
		b := best[end]
		if n := len(s.path); b.id == m.unk && n > 0 && s.path[n-1].id == m.unk {
			s.path[n-1].start = b.start // unknown characters that touch are one
		} else {
			s.path = append(s.path, segment{b.id, b.start, end})
		}
		end = b.start
	}
	for i := len(s.path) - 1; i >= 0; i-- {
		dst = m.emit(dst, word, s.path[i])
	}
	return dst
}

// emit appends a token of the best way: an unknown one as its bytes, if all of them have a token.
func (m *unigram) emit(dst []segment, word string, seg segment) []segment {
	if seg.id != m.unk {
		return append(dst, seg)
	}
	text := word[seg.start:seg.end]
	if id, ok := m.ids[text]; ok {
		return append(dst, segment{id, seg.start, seg.end})
	}
	if m.fallback {
		n := len(dst)
		for i := range len(text) {
			if m.bytes[text[i]] < 0 {
				return append(dst[:n], seg)
			}
			dst = append(dst, segment{m.bytes[text[i]], seg.start, seg.end})
		}
		return dst
	}
	return append(dst, seg)
}
