// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// paragraphs streams the paragraphs of a text: what stands between blank lines, its white space runs turned into single
// spaces, cut at MaxDocumentBytes. A line ends with \n, \r\n or \r. It returns the number of bytes that were not UTF-8, or
// zero: each of them becomes U+FFFD.
func paragraphs(r io.Reader, emit func(text string) error) (invalid int64, err error) {
	in := bufio.NewReaderSize(r, headBytes)
	if err := skipByteOrderMark(in); err != nil {
		return 0, err
	}
	p := newParagraph(emit)
	for {
		if n := p.addPlain(in); n > 0 {
			if _, err := in.Discard(n); err != nil {
				return invalid, err
			}
			continue
		}
		c, size, err := in.ReadRune()
		if err == io.EOF {
			return invalid, p.end()
		}
		if err != nil {
			return invalid, err
		}
		if c == 0 || c == utf8.RuneError && size == 1 {
			invalid++
		}
		if err := p.add(c); err != nil {
			return invalid, err
		}
	}
}

// skipByteOrderMark passes over UTF-8's mark.
func skipByteOrderMark(in *bufio.Reader) error {
	start, err := in.Peek(3)
	if err != nil && err != io.EOF {
		return err
	}
	if string(start) == "\xEF\xBB\xBF" {
		_, err = in.Discard(3)
		return err
	}
	return nil
}

// paragraph is a paragraph that grows, character by character, until a blank line ends it.
type paragraph struct {
	emit         func(text string) error
	text         []byte
	space, blank bool // white space is due before the next word; the line has no word yet
	returned     bool // the last character was \r, and the line is ended
}

func newParagraph(emit func(text string) error) *paragraph {
	return &paragraph{emit: emit, text: make([]byte, 0, MaxDocumentBytes+utf8.UTFMax)}
}

func (p *paragraph) add(c rune) error {
	if c == 0 { // a tokenizer would drop it, and join what stands beside it
		c = utf8.RuneError
	}
	returned := p.returned
	p.returned = c == '\r'
	switch {
	case c == '\n' && returned:
		return nil
	case c == '\n' || c == '\r':
		ended := p.blank
		p.space, p.blank = true, true
		if ended {
			return p.flush(len(p.text))
		}
		return nil
	case unicode.IsSpace(c):
		p.space = true
		return nil
	}
	if p.space && len(p.text) > 0 {
		p.text = append(p.text, ' ')
	}
	p.space, p.blank = false, false
	p.text = utf8.AppendRune(p.text, c)
	if len(p.text) > MaxDocumentBytes {
		return p.flush(cutPoint(p.text[:lastRuneStart(p.text)]))
	}
	return nil
}

// addPlain adds the printable ASCII that comes next and is read already, as add would one by one, as long as the paragraph is not
// too long for it. It returns the number of bytes.
func (p *paragraph) addPlain(in *bufio.Reader) (n int) {
	next, _ := in.Peek(min(in.Buffered(), MaxDocumentBytes-1-len(p.text)))
	for n < len(next) && '!' <= next[n] && next[n] <= '~' {
		n++
	}
	if n == 0 {
		return 0
	}
	if p.space && len(p.text) > 0 {
		p.text = append(p.text, ' ')
	}
	p.space, p.blank, p.returned = false, false, false
	p.text = append(p.text, next[:n]...)
	return n
}

// addAll adds a text that ends with its last character.
func (p *paragraph) addAll(text string) error {
	for _, c := range text {
		if err := p.add(c); err != nil {
			return err
		}
	}
	return p.end()
}

// end emits what has no blank line behind it, and begins anew.
func (p *paragraph) end() error {
	err := p.flush(len(p.text))
	p.space, p.blank, p.returned = false, false, false
	return err
}

// flush emits the first bytes of the text and keeps the others.
func (p *paragraph) flush(end int) error {
	head := string(p.text[:end])
	p.text = append(p.text[:0], strings.TrimPrefix(string(p.text[end:]), " ")...)
	if head == "" {
		return nil
	}
	return p.emit(head)
}

// lastRuneStart returns where the last rune of text begins.
func lastRuneStart(text []byte) int {
	_, size := utf8.DecodeLastRune(text)
	return len(text) - size
}
