// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"

	"metrolab/metro/tokens"
)

// Rows are the token rows of one split, read from disk one at a time: [CLS], then the next SeqLen−1 tokens of the
// split's stream, in which [SEP] follows every document. Only the last row can be short; it is filled up with [PAD].
type Rows struct {
	SeqLen int // S

	stream   *tokens.Stream
	cls, pad int32
}

// OpenRows reads the token file at path, whose ids are below vocab, as rows of seqLen. The caller closes them.
func OpenRows(path string, seqLen, vocab int, cls, pad int32) (*Rows, error) {
	stream, err := tokens.OpenStream(path, vocab)
	if err != nil {
		return nil, err
	}
	return &Rows{SeqLen: seqLen, stream: stream, cls: cls, pad: pad}, nil
}

// Len returns the number of rows.
func (r *Rows) Len() int { return (r.Tokens() + r.SeqLen - 2) / (r.SeqLen - 1) }

// Tokens returns the length of the stream, [CLS] and [PAD] not counted.
func (r *Rows) Tokens() int { return r.stream.Len() }

// Padding returns the share of the rows' places that hold no token of the stream and no [CLS]: those behind the last document.
func (r *Rows) Padding() float64 {
	places := r.Len() * r.SeqLen
	return float64(places-r.Len()-r.Tokens()) / float64(max(places, 1))
}

// Read fills row, of length SeqLen, with row i. It may be called from several goroutines.
func (r *Rows) Read(i int, row []int32) error {
	body := r.SeqLen - 1
	n := min(body, r.Tokens()-i*body)
	if err := r.stream.Read(row[1:1+n], i*body); err != nil {
		return fmt.Errorf("read row %d of %d: %w", i, r.Len(), err)
	}
	row[0] = r.cls
	for k := 1 + n; k < len(row); k++ {
		row[k] = r.pad
	}
	return nil
}

// Close releases the file.
func (r *Rows) Close() error { return r.stream.Close() }
