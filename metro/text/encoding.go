// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// A text of which more than this share is not UTF-8, and more bytes than a few, is not a text with a slip in it but
// one of another encoding. In Latin-1, German has twice that.
const (
	badShare = 0.005
	badFew   = 16
)

// tally passes a text on and counts the bytes of it that are not UTF-8, or zero, which no text has.
type tally struct {
	r          io.Reader
	total, bad int64
	first      int64  // where the first bad byte is
	cut        []byte // the beginning of a character whose end has not been read
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.count(p[:n])
	if err == io.EOF {
		for range t.cut {
			t.strike()
		}
		t.cut = nil
	}
	return n, err
}

func (t *tally) count(read []byte) {
	chunk := read
	if len(t.cut) > 0 {
		chunk = append(t.cut, read...)
		t.cut = nil
	}
	if utf8.Valid(chunk) && bytes.IndexByte(chunk, 0) < 0 {
		t.total += int64(len(chunk))
		return
	}
	for len(chunk) > 0 {
		if !utf8.FullRune(chunk) {
			t.cut = bytes.Clone(chunk)
			return
		}
		r, size := utf8.DecodeRune(chunk)
		if r == 0 || r == utf8.RuneError && size == 1 {
			t.strike()
		} else {
			t.total += int64(size)
		}
		chunk = chunk[size:]
	}
}

func (t *tally) strike() {
	if t.bad == 0 {
		t.first = t.total
	}
	t.bad++
	t.total++
}

// considerable reports whether so many bytes are bad that it is no text in UTF-8.
func (t *tally) considerable() bool {
	return t.bad > badFew && float64(t.bad) > badShare*float64(t.total)
}

func (t *tally) String() string {
	return fmt.Sprintf("%s of %s bytes (%.2g %%) are not UTF-8, the first is byte %s",
		humanize.Comma(t.bad), humanize.Comma(t.total), 100*float64(t.bad)/float64(max(t.total, 1)), humanize.Comma(t.first))
}
