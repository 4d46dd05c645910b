// SPDX-License-Identifier: Apache-2.0

package tasks

import "metrolab/metro/tokens/wordpiece"

// maxWindows is how many windows of a text are read; what is beyond is passed over. At 32 positions a window that is
// about 500 tokens, more than all but a paragraph in a thousand of the default corpus has.
const maxWindows = 16

// windows are token rows of one length, as the main model reads them.
type windows struct {
	seqLen int
	tokens []int32 // row-major
	text   []int   // of each row, the index of the text it is part of
}

func newWindows(tokenizer *wordpiece.Tokenizer, seqLen int, examples []Example) *windows {
	special := tokenizer.Special()
	w := &windows{seqLen: seqLen}
	var ids []int32
	for i, e := range examples {
		ids = tokenizer.EncodeIDs(ids[:0], e.Text)
		w.add(i, ids, special.CLS, special.PAD)
	}
	return w
}

// add cuts ids, the tokens of a text, into rows: each [CLS] and the next tokens, the last one filled up with [PAD]. A
// text without tokens is a row too.
func (w *windows) add(text int, ids []int32, cls, pad int32) {
	body := w.seqLen - 1
	for n := 0; n < maxWindows && (n == 0 || len(ids) > 0); n++ {
		part := ids[:min(len(ids), body)]
		ids = ids[len(part):]
		w.tokens = append(append(w.tokens, cls), part...)
		for range body - len(part) {
			w.tokens = append(w.tokens, pad)
		}
		w.text = append(w.text, text)
	}
}

func (w *windows) len() int { return len(w.text) }

func (w *windows) row(i int) []int32 { return w.tokens[i*w.seqLen : (i+1)*w.seqLen] }

// classes returns the class of each window: that of its text.
func (w *windows) classes(examples []Example) []int {
	classes := make([]int, w.len())
	for i, text := range w.text {
		classes[i] = examples[text].Class
	}
	return classes
}
