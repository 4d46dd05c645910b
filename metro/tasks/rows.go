// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"github.com/gomlx/gomlx/core/tensors"

	"metrolab/metro/data"
	"metrolab/metro/tokens"
)

// Rows are the examples of a task as a model reads them.
type Rows struct {
	windows []data.Window // Text is the index of the example; the rows of its choices follow one another
	targets []int32       // of each row, width numbers
	values  []float32     // the same where targets are real numbers
	width   int           // of a target; 0 stands for 1
	first   [][]int       // of each row, where in it the words of a sentence begin
	shown   []shown       // of each row, what it shows of a long text
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
			r.windows, r.targets = append(r.windows, w), append(r.targets, int32(e.Class))
		}
	}
	return &r
}

// leastTokens is how many tokens whole rows have at least: the special ones, and some of each text.
const leastTokens = 8

// packer makes whole rows: one a text or a pair of texts.
type packer struct {
	tokenizer tokens.Tokenizer
	windows   data.Windows
	rows      *Rows
}

func newPacker(tokenizer tokens.Tokenizer, seqLen int) *packer {
	return &packer{tokenizer: tokenizer, windows: data.Windows{SeqLen: seqLen, Special: tokenizer.Special(), Closed: true}, rows: &Rows{}}
}

// add appends the row of a text, or of a pair, as the tokenizer puts them together, of example i. Of what is too long the end is
// left out, of two texts the longer one's.
func (p *packer) add(i int, text, second string, pair bool) {
	encode := func(limit int) tokens.Encoded {
		var e tokens.Encoded
		var err error
		if pair {
			e, err = tokens.EncodePair(p.tokenizer, text, second, tokens.Limit{Tokens: limit})
		} else {
			e, err = tokens.EncodeText(p.tokenizer, text, tokens.Limit{Tokens: limit})
		}
		if err != nil {
			panic(err) // rows have room for the special tokens; see leastTokens
		}
		return e
	}
	row := encode(0)
	if len(row.IDs) > p.windows.SeqLen {
		p.rows.cut++
		row = encode(p.windows.SeqLen)
	}
	for k, text := range row.Texts {
		if text > 0 {
			tokens.Plain(p.tokenizer, row.IDs[k:k+1])
		}
	}
	p.rows.windows = append(p.rows.windows, p.windows.Whole(i, row.IDs))
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.windows) }

// examples is the number of examples, of so many rows each.
func (r *Rows) examples(texts int) int { return len(r.windows) / texts }

// tensors are those of some examples of a form: the tokens, [B, S], or [B, C, S] of C choices, and the targets, [B, …].
func (r *Rows) tensors(examples []int, form Form, seqLen int) (ids, target *tensors.Tensor) {
	var all, targets []int32
	var values []float32
	width := max(r.width, 1)
	for _, e := range examples {
		for _, w := range r.windows[e*form.Texts : (e+1)*form.Texts] {
			all = append(all, w.Tokens...)
		}
		if r.values != nil {
			values = append(values, r.values[e*width:(e+1)*width]...)
		} else {
			targets = append(targets, r.targets[e*width:(e+1)*width]...)
		}
	}
	ids = tensors.FromFlatDataAndDimensions(all, form.tokens(len(examples), seqLen)...)
	dims := append([]int{len(examples)}, form.Target.Dimensions...)
	if r.values != nil {
		return ids, tensors.FromFlatDataAndDimensions(values, dims...)
	}
	return ids, tensors.FromFlatDataAndDimensions(targets, dims...)
}

// tokens are the dimensions of a batch of so many examples.
func (f Form) tokens(examples, seqLen int) []int {
	if f.Texts > 1 {
		return []int{examples, f.Texts, seqLen}
	}
	return []int{examples, seqLen}
}
