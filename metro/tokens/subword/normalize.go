// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// normalizer changes a text. Where places are not wanted, it need not track them.
type normalizer func(p piece, track bool) piece

// plainNormalizers have no settings.
var plainNormalizers = map[string]normalizer{
	"NFC": unicodeForm(norm.NFC), "NFD": unicodeForm(norm.NFD), "NFKC": unicodeForm(norm.NFKC), "NFKD": unicodeForm(norm.NFKD),
	"Lowercase": lowercase,
	"StripAccents": func(p piece, track bool) piece {
		return filtered(p, track, func(r rune) bool { return !parts.IsCombining(r) })
	},
	"Nmt": nmt,
}

// readNormalizers returns the normalizers of a section of tokenizer.json, in their order.
func readNormalizers(raw json.RawMessage) ([]normalizer, error) {
	kind := parts.Kind(raw)
	if f, ok := plainNormalizers[kind]; ok {
		return []normalizer{f}, nil
	}
	var n struct {
		List    []json.RawMessage `json:"normalizers"` // Sequence
		Left    bool              `json:"strip_left"`  // Strip
		Right   bool              `json:"strip_right"`
		Prepend string            `json:"prepend"` // Prepend
		Content string            `json:"content"` // Replace
		Pattern struct {
			String *string
			Regex  *string
		} `json:"pattern"`
		CharsMap []byte `json:"precompiled_charsmap"` // Precompiled
	}
	if kind == "null" || kind == "missing" {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, usererr.New("the normalizer %s cannot be read: %w", kind, err)
	}
	one := func(f normalizer) ([]normalizer, error) { return []normalizer{f}, nil }
	switch kind {
	case "Sequence":
		var list []normalizer
		for _, raw := range n.List {
			more, err := readNormalizers(raw)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
		return list, nil
	case "Strip":
		return one(strip(n.Left, n.Right))
	case "Prepend":
		return one(func(p piece, track bool) piece { return prepended(p, track, n.Prepend) })
	case "Precompiled":
		m, err := newCharsMap(n.CharsMap)
		if err != nil {
			return nil, err
		}
		return one(m.normalize)
	case "Replace":
		switch p := n.Pattern; {
		case p.String != nil && *p.String != "":
			return one(replaceString(*p.String, n.Content))
		case p.Regex != nil:
			re, err := regexp.Compile("(?m)" + *p.Regex) // ^ and $ are of lines, as in Oniguruma
			if err != nil || strings.Contains(strings.NewReplacer(`\A`, "", `\z`, "").Replace(*p.Regex), `\`) || re.MatchString("") {
				return nil, usererr.New(`the normalizer Replace has the pattern %q, which is not supported; patterns that match no empty text and have no backslash but in \A and \z are`, *p.Regex)
			}
			return one(replaceRegexp(re, n.Content))
		}
		return nil, usererr.New("the normalizer Replace has no pattern")
	}
	return nil, usererr.New("the normalizer %s is not supported; known are NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, Strip, Prepend, Precompiled, Replace and Sequence", kind)
}

func strip(left, right bool) normalizer {
	return func(p piece, track bool) piece {
		i, j := 0, len(p.text)
		if left {
			i = j - len(strings.TrimLeftFunc(p.text, unicode.IsSpace))
		}
		if right {
			j = i + len(strings.TrimRightFunc(p.text[i:], unicode.IsSpace))
		}
		return p.slice(i, j)
	}
}

func replaceString(old, new string) normalizer {
	return func(p piece, track bool) piece {
		return replaced(p, track, new, func(yield func(i, j int)) {
			for at := 0; ; {
				i := strings.Index(p.text[at:], old)
				if i < 0 {
					return
				}
				at += i + len(old)
				yield(at-len(old), at)
			}
		})
	}
}

func replaceRegexp(re *regexp.Regexp, new string) normalizer {
	return func(p piece, track bool) piece {
		return replaced(p, track, new, func(yield func(i, j int)) {
			for _, m := range re.FindAllStringIndex(p.text, -1) {
				yield(m[0], m[1])
			}
		})
	}
}

// nmt drops control characters and turns other white space and what is as good as it into spaces.
func nmt(p piece, track bool) piece {
	p = filtered(p, track, func(r rune) bool {
		switch {
		case 0x1 <= r && r <= 0x8, r == 0xB, 0xE <= r && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			return false
		}
		return true
	})
	return mapped(p, track, func(r rune) rune {
		switch r {
		case '\t', '\n', '\f', '\r', 0x1680, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD:
			return ' '
		}
		return r
	})
}
