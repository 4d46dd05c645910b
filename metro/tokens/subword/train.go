// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"unicode/utf8"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// Options says what kind of tokenizer [Train] makes. The zero value is a cased byte-level one of 8,192 tokens.
type Options struct {
	// SentencePiece makes characters the smallest pieces, and ▁ the space before a word; characters outside the alphabet are
	// their bytes. Else bytes are the smallest pieces, as GPT-2's and RoBERTa's.
	SentencePiece bool
	// VocabSize is the wanted number of tokens, special ones included; 0 means 8192. The vocabulary is smaller where the text
	// runs out of pairs, and larger where bytes and alphabet alone are.
	VocabSize int
	// Lowercase lowers all letters and strips accents.
	Lowercase bool
	// MinFrequency is how often a pair must occur to become a piece; 0 means 2.
	MinFrequency int64
	// MaxAlphabet is, with SentencePiece, how many different characters are kept, the most frequent first; 0 means 1000.
	MaxAlphabet int
	// LongestWord is how many characters of a word are learned from together; 0 means 100. A longer word is learned from in
	// parts of that length. The tokenizer reads words of any length.
	LongestWord int
}

// specialTokens have the ids from 0 up, as in every tokenizer that is learned here.
var specialTokens = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

// Train makes a BPE tokenizer from texts.
//
// Words are cut as the tokenizer will cut them, and start as bytes or characters; the most frequent pair of neighbors is made
// one piece until the vocabulary is full. Of equally frequent pairs, the one whose first piece, then whose second piece, has
// the lower id goes first. Ids are given to special tokens, to the 256 bytes (byte-level ones in the order of how they are
// written), to characters by code point, and then to pieces as they are made. The result is a function of the texts' words and
// opts alone.
//
// Memory is bounded: past 2²⁰ different words the rarest are forgotten. Texts without any word are the user's error.
func Train(texts iter.Seq[string], opts Options) (*Tokenizer, error) {
	if opts.VocabSize < 0 || opts.MinFrequency < 0 || opts.MaxAlphabet < 0 || opts.LongestWord < 0 {
		return nil, usererr.New("vocabulary size %d, minimal frequency %d, alphabet size %d and longest word %d must not be negative",
			opts.VocabSize, opts.MinFrequency, opts.MaxAlphabet, opts.LongestWord)
	}
	opts.VocabSize, opts.MinFrequency = cmp.Or(opts.VocabSize, 8192), cmp.Or(opts.MinFrequency, 2)
	opts.MaxAlphabet, opts.LongestWord = cmp.Or(opts.MaxAlphabet, 1000), cmp.Or(opts.LongestWord, 100)
	f, l := opts.steps(), byteLearner
	if opts.SentencePiece {
		l = charLearner
	}
	words, err := opts.count(texts, f)
	if err != nil {
		return nil, err
	}
	if opts.SentencePiece {
		words = parts.KeepAlphabet(words, opts.MaxAlphabet)
	}
	if len(words) == 0 {
		return nil, usererr.New("the text to learn a tokenizer from has no words of the %d most frequent characters", opts.MaxAlphabet)
	}
	m := parts.NewMerger(slices.Concat(specialTokens, l.bytes(), l.characters(words)), words, l.spell, func(left, right string) string { return left + right })
	m.Run(opts.VocabSize, opts.MinFrequency)
	return l.tokenizer(f, m)
}

// learner is what differs between the two kinds.
type learner struct {
	bytes      func() []string
	characters func(words []parts.WordCount) []string
	spell      func(word string, piece func(token string)) // calls piece for every smallest piece of word
	tokenizer  func(f parts.File, m *parts.Merger) (*Tokenizer, error)
}

var byteLearner = learner{
	bytes: func() []string {
		var list []string
		for _, r := range slices.Sorted(slices.Values(byteRunes[:])) {
			list = append(list, string(r))
		}
		return list
	},
	characters: func([]parts.WordCount) []string { return nil },
	spell: func(word string, piece func(string)) {
		for i := range len(word) {
			piece(string(byteRunes[word[i]]))
		}
	},
	tokenizer: func(f parts.File, m *parts.Merger) (*Tokenizer, error) {
		f.Model = parts.RawJSON(bpeOut{bpePart{Section: parts.Section{Type: "BPE"}}, m.Tokens, m.Merges})
		for id, token := range specialTokens {
			f.AddedTokens = append(f.AddedTokens, parts.AddedToken{ID: int64(id), Content: token, Special: true})
		}
		return Parse(parts.RawJSON(f))
	},
}

var charLearner = learner{
	bytes: func() []string {
		var list []string
		for b := range 256 {
			list = append(list, byteName(b))
		}
		return list
	},
	characters: func(words []parts.WordCount) []string {
		all := map[string]bool{spmSpace: true}
		for _, w := range words {
			for _, r := range w.Word {
				all[string(r)] = true
			}
		}
		return slices.Sorted(maps.Keys(all))
	},
	spell: func(word string, piece func(string)) {
		for _, r := range word {
			piece(string(r))
		}
	},
	tokenizer: func(f parts.File, m *parts.Merger) (*Tokenizer, error) {
		s := learnedSPM()
		first := len(specialTokens) + 256 // of the characters
		made := len(m.Tokens)             // how many tokens are no merges' is found below
		for made > first && utf8.RuneCountInString(m.Tokens[made-1]) > 1 {
			made--
		}
		merges := len(m.Tokens) - made
		for id, token := range m.Tokens {
			p := spmPiece{text: token, kind: spmNormal}
			switch {
			case id < len(specialTokens):
				p.kind = []spmKind{spmControl, spmUnknown, spmControl, spmControl, spmUserDefined}[id]
			case id < first:
				p.kind = spmByte
			case id < made:
				p.score = -float32(merges + id - first)
			default:
				p.score = -float32(id - made)
			}
			s.pieces = append(s.pieces, p)
		}
		return new(config).tokenizer(s, f)
	},
}

// learnedSPM is how SentencePiece tokenizers that are learned here read a text: white space becomes single spaces, and one
// stands before every text.
func learnedSPM() *spm {
	return &spm{bpe: true, fallback: true, charsMap: whiteSpaceMap(), dummy: true, trimSpaces: true, escape: true}
}

// steps describes what comes before and after the model.
func (o *Options) steps() parts.File {
	type object map[string]any
	var f parts.File
	if o.SentencePiece {
		f = learnedSPM().steps()
	} else {
		level := object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}
		single, pair := parts.BertTemplates("[CLS]", "[SEP]")
		f = parts.File{Version: "1.0", PreTokenizer: parts.RawJSON(level), Decoder: parts.RawJSON(level), PostProcessor: parts.RawJSON(object{
			"type": "Sequence", "processors": []any{level, parts.NewTemplate(single, pair, map[string]int64{"[CLS]": 2, "[SEP]": 3})},
		})}
	}
	if o.Lowercase {
		list := []any{object{"type": "NFD"}, object{"type": "Lowercase"}, object{"type": "StripAccents"}}
		if f.Normalizer != nil {
			list = append(list, f.Normalizer)
		}
		f.Normalizer = parts.RawJSON(object{"type": "Sequence", "normalizers": list})
	}
	return f
}

// count counts the words of texts as the steps cut them.
func (o *Options) count(texts iter.Seq[string], f parts.File) ([]parts.WordCount, error) {
	t := &Tokenizer{}
	if err := t.readSteps(&f); err != nil {
		return nil, err
	}
	counter := parts.NewCounter(parts.MaxWords)
	for text := range texts {
		t.pre.split(piece{text: t.normalize(text)}, false, func(p piece) {
			for word := p.text; word != ""; {
				n := prefix(word, o.LongestWord)
				counter.Add([]byte(word[:n]))
				word = word[n:]
			}
		})
	}
	return counter.Sorted(), nil
}

// prefix returns the length of the first n characters of word.
func prefix(word string, n int) int {
	if len(word) <= n {
		return len(word)
	}
	for i := range word {
		if n == 0 {
			return i
		}
		n--
	}
	return len(word)
}
