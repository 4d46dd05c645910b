// SPDX-License-Identifier: Apache-2.0

package wordpiece

import "metrolab/metro/tokens/internal/parts"

// normalizerPart leaves its fields nil where they are missing. Only strip_accents may be: null means as lowercase.
type normalizerPart struct {
	parts.Section
	CleanText          *bool `json:"clean_text"`
	HandleChineseChars *bool `json:"handle_chinese_chars"`
	StripAccents       *bool `json:"strip_accents"`
	Lowercase          *bool `json:"lowercase"`
}

type decoderPart struct {
	parts.Section
	Prefix  string `json:"prefix"`
	Cleanup bool   `json:"cleanup"`
}

// modelPart is read with V = map[string]int64 and written with V = parts.OrderedVocab.
type modelPart[V any] struct {
	parts.Section
	UnkToken     string `json:"unk_token"`
	Prefix       string `json:"continuing_subword_prefix"`
	MaxWordChars int    `json:"max_input_chars_per_word"`
	Vocab        V      `json:"vocab"`
}

// section is that of a type.
func section(kind string) parts.Section { return parts.Section{Type: kind} }
