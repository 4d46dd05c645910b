// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// Document is one paragraph of text: valid UTF-8 on one line, its words parted by single spaces, at most
// [MaxDocumentBytes] long.
type Document struct {
	Text string `json:"text"`
	// Label says where the text comes from: the import path of its package in the default corpus, the file's
	// slash-separated path below the given folder (or its name) in one's own.
	Label string `json:"label"`
}

// MaxDocumentBytes is the length at which longer paragraphs are cut, at the end of a sentence where there is one in the
// second half, else between words. It bounds memory and gives a text without line breaks parts to split.
const MaxDocumentBytes = 8 << 10

// WhatParts says what a document of the user's own text is, for those whose text has too few.
const WhatParts = "a document is what stands between blank lines, cut every 8 KiB; a text that has one a line needs a blank line behind each"

// Split names a part of a corpus.
type Split string

// A document's split follows from its text alone, so that equal paragraphs never stand on both sides of an evaluation.
const (
	Train      Split = "train"      // 90 %
	Validation Split = "validation" // 5 %
	Test       Split = "test"       // 5 %
)

// Splits lists the splits, training first.
var Splits = []Split{Train, Validation, Test}

// textKey identifies a text but for the case of its letters: the first 8 bytes of a SHA-256. Among 100,000 paragraphs
// two different ones share a key with probability 3e-10.
func textKey(text string) uint64 {
	sum := sha256.Sum256([]byte(strings.ToLower(text)))
	return binary.BigEndian.Uint64(sum[:])
}

// splitOf maps the key of a text to its split.
func splitOf(key uint64) Split {
	switch slot := key % 20; slot {
	case 18:
		return Validation
	case 19:
		return Test
	default:
		return Train
	}
}

// replaceInvalid puts U+FFFD in the place of each byte that is not UTF-8, or zero, and counts them.
func replaceInvalid(src []byte) ([]byte, int64) {
	if utf8.Valid(src) && bytes.IndexByte(src, 0) < 0 {
		return src, 0
	}
	var out bytes.Buffer
	var replaced int64
	for len(src) > 0 {
		r, size := utf8.DecodeRune(src)
		if r == 0 || r == utf8.RuneError && size == 1 {
			r = utf8.RuneError
			replaced++
		}
		out.WriteRune(r)
		src = src[size:]
	}
	return out.Bytes(), replaced
}

// cutPoint returns where to cut a text that is too long: after the last sentence that ends in its second half, else
// after its last space, else after its last whole rune.
func cutPoint(text []byte) int {
	for i := len(text) - 1; i > len(text)/2; i-- {
		if text[i] == ' ' && bytes.IndexByte([]byte(".!?"), text[i-1]) >= 0 {
			return i
		}
	}
	if i := bytes.LastIndexByte(text, ' '); i > 0 {
		return i
	}
	return len(text)
}

// pieces cuts a paragraph into texts of at most MaxDocumentBytes.
func pieces(text string) []string {
	var cut []string
	for len(text) > MaxDocumentBytes {
		head := text[:MaxDocumentBytes]
		for !utf8.ValidString(head) {
			head = head[:len(head)-1]
		}
		at := cutPoint([]byte(head))
		cut = append(cut, text[:at])
		text = strings.TrimPrefix(text[at:], " ")
	}
	return append(cut, text)
}
