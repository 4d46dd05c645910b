// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// decoder is one step from tokens to text.
type decoder func(tokens []string) []string

// readDecoders returns the steps of a decoder section of tokenizer.json; nil where there is none.
func readDecoders(raw json.RawMessage) ([]decoder, error) {
	var d struct {
		List        []json.RawMessage       `json:"decoders"` // Sequence
		Replacement string                  `json:"replacement"`
		Scheme      string                  `json:"prepend_scheme"`
		PrefixSpace *bool                   `json:"add_prefix_space"`
		Content     string                  `json:"content"` // Replace, Strip
		Pattern     struct{ String string } `json:"pattern"` // Replace
		Start, Stop int                     // Strip
	}
	kind := parts.Kind(raw)
	if kind == "null" || kind == "missing" {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, usererr.New("the decoder %s cannot be read: %w", kind, err)
	}
	switch kind {
	case "Sequence":
		list := []decoder{}
		for _, raw := range d.List {
			more, err := readDecoders(raw)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
		return list, nil
	case "ByteLevel":
		return []decoder{decodeByteLevel}, nil
	case "ByteFallback":
		return []decoder{decodeFallback}, nil
	case "Fuse":
		return []decoder{func(tokens []string) []string { return []string{strings.Join(tokens, "")} }}, nil
	case "Metaspace":
		kept := d.Scheme == "never" || d.PrefixSpace != nil && !*d.PrefixSpace
		return []decoder{each(func(i int, token string) string {
			if i == 0 && !kept {
				return strings.ReplaceAll(token, d.Replacement, "")
			}
			return strings.ReplaceAll(token, d.Replacement, " ")
		})}, nil
	case "Replace":
		if d.Pattern.String != "" {
			return []decoder{each(func(_ int, token string) string {
				return strings.ReplaceAll(token, d.Pattern.String, d.Content)
			})}, nil
		}
		return nil, usererr.New("the decoder Replace has a pattern that is no String, which is not supported")
	case "Strip":
		if d.Content == "" {
			return nil, usererr.New("the decoder Strip has no content")
		}
		return []decoder{each(func(_ int, token string) string {
			for i := 0; i < d.Start && strings.HasPrefix(token, d.Content); i++ {
				token = token[len(d.Content):]
			}
			for i := 0; i < d.Stop && strings.HasSuffix(token, d.Content); i++ {
				token = token[:len(token)-len(d.Content)]
			}
			return token
		})}, nil
	}
	return nil, usererr.New("the decoder %s is not supported; known are ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip and Sequence", kind)
}

// each applies f to every token.
func each(f func(i int, token string) string) decoder {
	return func(tokens []string) []string {
		tokens = slices.Clone(tokens)
		for i, token := range tokens {
			tokens[i] = f(i, token)
		}
		return tokens
	}
}

// decodeByteLevel joins the bytes that tokens write; a token with a character of another alphabet stands for itself.
func decodeByteLevel(tokens []string) []string {
	var out strings.Builder
	for _, token := range tokens {
		if bytes, ok := ofBytes(token); ok {
			token = bytes
		}
		out.WriteString(token)
	}
	return []string{strings.ToValidUTF8(out.String(), "\uFFFD")}
}

// decodeFallback joins runs of <0x00> to <0xFF> into text, or one U+FFFD a byte where they are none.
func decodeFallback(tokens []string) []string {
	var out []string
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			out = append(out, slices.Repeat([]string{"\uFFFD"}, len(run))...)
		}
		run = nil
	}
	for _, token := range tokens {
		if b, ok := fallbackByte(token); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, token)
	}
	flush()
	return out
}

// fallbackByte returns the byte that a token such as <0x0A> stands for.
func fallbackByte(token string) (byte, bool) {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}
