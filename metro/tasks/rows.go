// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"metrolab/metro/data"
	"metrolab/metro/tokens"
)

// Rows are the examples of a task as a model reads them.
type Rows struct {
	windows []data.Window // Text is the index of the example
	targets []int         // of each row
	cut     int           // texts of which more is there than is read
}

// maxWindows is how many windows of a text are read; what is beyond is passed over. At 32 positions a window that is
// about 500 tokens, more than all but a paragraph in a thousand of the default corpus has.
const maxWindows = 16

// newRows cuts the texts of examples into windows of [CLS] and the next seqLen−1 tokens, as rows of pretraining are. The
// target of each is the class of its text.
func newRows(tokenizer tokens.Tokenizer, seqLen int, examples []Example) *Rows {
	cut := data.Windows{SeqLen: seqLen, Special: tokenizer.Special(), Limit: maxWindows}
	var r Rows
	var ids []int32
	for i, e := range examples {
		ids = tokenizer.EncodeIDs(ids[:0], e.Text)
		tokens.Plain(tokenizer, ids)
		if len(ids) > maxWindows*(seqLen-1) {
			r.cut++
		}
		for _, w := range cut.Cut(i, ids) {
			r.windows, r.targets = append(r.windows, w), append(r.targets, e.Class)
		}
	}
	return &r
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.windows) }

// gather returns the tokens, [size, S], and the targets, [size], of some rows. What is left of size repeats the first.
func (r *Rows) gather(rows []int, size int) (tokens, targets []int32) {
	for i := range size {
		row := rows[0]
		if i < len(rows) {
			row = rows[i]
		}
		tokens, targets = append(tokens, r.windows[row].Tokens...), append(targets, int32(r.targets[row]))
	}
	return tokens, targets
}
