// SPDX-License-Identifier: Apache-2.0

package data

import "metrolab/metro/tokens"

// Windows says how texts are cut into windows, rows of one length, for a model that reads no more at a time. Each window
// is [CLS], the next tokens of its text and, if it is Closed, [SEP], filled up with [PAD].
type Windows struct {
	SeqLen  int // S; at least 2, and 3 where windows are closed
	Special tokens.Special
	Closed  bool // [SEP] follows the tokens: S−2 of them fit, else S−1
	Overlap bool // each begins half a window on from the one before, else where the one before ends
	Limit   int  // windows of a text at most, what is beyond being passed over; 0 stands for no limit
}

// Window is a row that shows a part of a text.
type Window struct {
	Text     int     // which text, as [Windows.Cut] was told
	From, To int     // the tokens of the text that it answers for: every token that is shown at all is in one [From, To)
	Tokens   []int32 // [S]

	first int // the token of the text that would stand at Tokens[0]
}

// Place returns where in Tokens a token of the text stands.
func (w Window) Place(token int) int { return token - w.first }

// Cut returns the windows of a text whose tokens are ids, in order; text is its number. Of two windows that overlap each
// answers for the tokens that are further from its end. A text without tokens has a window too.
func (c Windows) Cut(text int, ids []int32) []Window {
	body := c.SeqLen - 1
	if c.Closed {
		body--
	}
	step := body
	if c.Overlap {
		step = max(1, body/2)
	}
	margin := (body - step) / 2
	var windows []Window
	for start := 0; ; start += step {
		end := min(start+body, len(ids))
		w := Window{Text: text, From: start + margin, To: start + margin + step, first: start - 1}
		if start == 0 {
			w.From = 0
		}
		last := end == len(ids) || len(windows)+1 == c.Limit
		if last {
			w.To = end
		}
		w.Tokens = c.row(ids[start:end])
		if windows = append(windows, w); last {
			return windows
		}
	}
}

// row puts [CLS] before ids, [SEP] after them if windows are closed, and padding behind.
func (c Windows) row(ids []int32) []int32 {
	row := make([]int32, 0, c.SeqLen)
	row = append(append(row, c.Special.CLS), ids...)
	if c.Closed {
		row = append(row, c.Special.SEP)
	}
	return pad(row, c.SeqLen, c.Special.PAD)
}

// Whole returns the window that shows ids as they are, at most SeqLen of them, with padding behind, and answers for all.
func (c Windows) Whole(text int, ids []int32) Window {
	row := append(make([]int32, 0, c.SeqLen), ids...)
	return Window{Text: text, To: len(ids), Tokens: pad(row, c.SeqLen, c.Special.PAD)}
}

func pad(row []int32, n int, id int32) []int32 {
	for len(row) < n {
		row = append(row, id)
	}
	return row
}
