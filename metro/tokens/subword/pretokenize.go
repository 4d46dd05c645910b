// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// splitter cuts a text into what a model sees one at a time, and calls emit for each in order.
type splitter func(p piece, track bool, emit func(piece))

// preTokenizer is a pre_tokenizer section of tokenizer.json: it splits, and says what kind of model it wants.
type preTokenizer struct {
	split     splitter
	byteLevel bool // the model's tokens are written in the alphabet of bytes
	places    bool // it looks at where in the original a piece is
}

// readPreTokenizer reads a pre_tokenizer section.
func readPreTokenizer(raw json.RawMessage) (preTokenizer, error) {
	var n struct {
		List        []json.RawMessage `json:"pretokenizers"`     // Sequence
		PrefixSpace *bool             `json:"add_prefix_space"`  // ByteLevel, older Metaspace
		UseRegex    *bool             `json:"use_regex"`         // ByteLevel
		Replacement string            `json:"replacement"`       // Metaspace
		Scheme      string            `json:"prepend_scheme"`    // Metaspace
		Split       *bool             `json:"split"`             // Metaspace
		Behavior    string            `json:"behavior"`          // Punctuation
		Individual  bool              `json:"individual_digits"` // Digits
	}
	kind := parts.Kind(raw)
	if kind == "null" || kind == "missing" {
		return preTokenizer{split: unsplit}, nil
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return preTokenizer{}, usererr.New("the pre_tokenizer %s cannot be read: %w", kind, err)
	}
	yes := func(b *bool) bool { return b == nil || *b }
	switch kind {
	case "Sequence":
		return readSequence(n.List)
	case "ByteLevel":
		return preTokenizer{split: byteLevel(yes(n.PrefixSpace), yes(n.UseRegex)), byteLevel: true}, nil
	case "Metaspace":
		if n.Scheme == "" {
			n.Scheme = "always"
			if !yes(n.PrefixSpace) {
				n.Scheme = "never"
			}
		}
		if utf8.RuneCountInString(n.Replacement) != 1 || n.Scheme != "always" && n.Scheme != "first" && n.Scheme != "never" {
			return preTokenizer{}, usererr.New("the pre_tokenizer Metaspace has the replacement %q and the prepend_scheme %q; one character, and always, first or never are supported", n.Replacement, n.Scheme)
		}
		return preTokenizer{split: metaspace(n.Replacement, n.Scheme, yes(n.Split)), places: n.Scheme == "first"}, nil
	case "Whitespace":
		return preTokenizer{split: words}, nil
	case "WhitespaceSplit":
		return preTokenizer{split: spaced}, nil
	case "BertPreTokenizer":
		return preTokenizer{split: chain(spaced, isolated(parts.IsPunctuation))}, nil
	case "Punctuation":
		if n.Behavior != "" && n.Behavior != "Isolated" {
			return preTokenizer{}, usererr.New("the pre_tokenizer Punctuation has the behavior %s; only Isolated is supported", n.Behavior)
		}
		return preTokenizer{split: isolated(parts.IsPunctuation)}, nil
	case "Digits":
		if n.Individual {
			return preTokenizer{split: isolated(parts.IsDigit)}, nil
		}
		return preTokenizer{split: runs(parts.IsDigit)}, nil
	}
	return preTokenizer{}, usererr.New("the pre_tokenizer %s is not supported; known are ByteLevel, Metaspace, Whitespace, WhitespaceSplit, BertPreTokenizer, Punctuation, Digits and Sequence", kind)
}

func readSequence(list []json.RawMessage) (preTokenizer, error) {
	all := preTokenizer{split: unsplit}
	for i, raw := range list {
		one, err := readPreTokenizer(raw)
		if err != nil {
			return all, err
		}
		if all.byteLevel {
			return all, usererr.New("the pre_tokenizer has %s behind ByteLevel, which is supported only at the end", parts.Kind(raw))
		}
		if i == 0 {
			all = one
			continue
		}
		all = preTokenizer{split: chain(all.split, one.split), byteLevel: one.byteLevel, places: all.places || one.places}
	}
	return all, nil
}

func unsplit(p piece, _ bool, emit func(piece)) { emit(p) }

// chain cuts what the first cuts by the second.
func chain(first, second splitter) splitter {
	return func(p piece, track bool, emit func(piece)) {
		first(p, track, func(q piece) {
			if q.text != "" {
				second(q, track, emit)
			}
		})
	}
}

// metaspace marks where words begin: replacement takes the place of spaces and, by the scheme, stands before the text.
func metaspace(replacement, scheme string, split bool) splitter {
	return func(p piece, track bool, emit func(piece)) {
		start := p.start()
		p = replaceString(" ", replacement)(p, track)
		if !strings.HasPrefix(p.text, replacement) && (scheme == "always" || scheme == "first" && start == 0) {
			p = prepended(p, track, replacement)
		}
		if !split {
			emit(p)
			return
		}
		for i := 0; i < len(p.text); {
			_, size := utf8.DecodeRuneInString(p.text[i:])
			end := len(p.text)
			if next := strings.Index(p.text[i+size:], replacement); next >= 0 {
				end = i + size + next
			}
			emit(p.slice(i, end))
			i = end
		}
	}
}

// spaced cuts at white space and leaves it out.
func spaced(p piece, _ bool, emit func(piece)) {
	eachRun(p, unicode.IsSpace, func(q piece, space bool) {
		if !space {
			emit(q)
		}
	})
}

// words emits runs of word characters and runs of what is neither that nor white space: \w+|[^\w\s]+.
func words(p piece, track bool, emit func(piece)) {
	spaced(p, track, func(q piece) { eachRun(q, parts.IsWord, func(r piece, _ bool) { emit(r) }) })
}

// runs emits runs of characters that are so, and runs of others.
func runs(is func(rune) bool) splitter {
	return func(p piece, _ bool, emit func(piece)) { eachRun(p, is, func(q piece, _ bool) { emit(q) }) }
}

// isolated emits each character that is so by itself, and runs of others.
func isolated(is func(rune) bool) splitter {
	return func(p piece, _ bool, emit func(piece)) {
		eachRun(p, is, func(q piece, so bool) {
			for so && q.text != "" {
				_, size := utf8.DecodeRuneInString(q.text)
				emit(q.slice(0, size))
				q = q.slice(size, len(q.text))
			}
			if q.text != "" {
				emit(q)
			}
		})
	}
}

// eachRun calls f for every run of characters that are so, and of others.
func eachRun(p piece, is func(rune) bool, f func(q piece, so bool)) {
	first, so := 0, false
	for i, r := range p.text {
		if now := is(r); now != so || i == 0 {
			if i > 0 {
				f(p.slice(first, i), so)
			}
			first, so = i, now
		}
	}
	if first < len(p.text) {
		f(p.slice(first, len(p.text)), so)
	}
}
