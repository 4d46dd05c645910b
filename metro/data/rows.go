// SPDX-License-Identifier: Apache-2.0

package data

import (
	"encoding/binary"
	"fmt"
	"os"
)

// Rows are the token rows of one split, read from disk one at a time: [CLS], then the next SeqLen−1 tokens of the
// split's stream, in which [SEP] follows every document. Only the last row can be short; it is filled up with [PAD].
type Rows struct {
	SeqLen int // S

	file     *os.File
	tokens   int // in the stream
	cls, pad int32
}

// tokenBytes is the size of one id in a token file, little-endian.
const tokenBytes = 4

// OpenRows reads the token file at path, a stream of little-endian uint32 ids, as rows of seqLen.
func OpenRows(path string, seqLen int, cls, pad int32) (*Rows, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	if info.Size()%tokenBytes != 0 {
		file.Close()
		return nil, fmt.Errorf("open tokens: %s is damaged: its %d bytes end inside a token of %d; remove its folder to have it made again", path, info.Size(), tokenBytes)
	}
	return &Rows{SeqLen: seqLen, file: file, tokens: int(info.Size() / tokenBytes), cls: cls, pad: pad}, nil
}

// Len returns the number of rows.
func (r *Rows) Len() int { return (r.tokens + r.SeqLen - 2) / (r.SeqLen - 1) }

// Tokens returns the length of the stream, [CLS] and [PAD] not counted.
func (r *Rows) Tokens() int { return r.tokens }

// Read fills row, of length SeqLen, with row i. It may be called from several goroutines.
func (r *Rows) Read(i int, row []int32) error {
	body := r.SeqLen - 1
	n := min(body, r.tokens-i*body)
	buf := make([]byte, n*tokenBytes)
	if _, err := r.file.ReadAt(buf, int64(i)*int64(body)*tokenBytes); err != nil {
		return fmt.Errorf("read row %d of %d from %s: %w", i, r.Len(), r.file.Name(), err)
	}
	row[0] = r.cls
	for k := range body {
		if k < n {
			row[k+1] = int32(binary.LittleEndian.Uint32(buf[k*tokenBytes:]))
		} else {
			row[k+1] = r.pad
		}
	}
	return nil
}

// Close releases the file.
func (r *Rows) Close() error { return r.file.Close() }
