// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"unicode"
)

// fastaNames are the ends of names by which sequences in FASTA are known: of anything, of nucleotides, of amino acids.
var fastaNames = []string{".fasta", ".fa", ".fna", ".ffn", ".faa"}

func isFASTA(name string) bool { return slices.Contains(fastaNames, extension(name)) }

// fastaTexts streams the sequences of a FASTA file: a document each, its residues parted by spaces, so that each is a token, and
// cut at [MaxDocumentBytes]. What a header line says, which begins with '>', is left out, and so is a line that begins with ';',
// a comment. A residue is a letter, '*' (a stop) or '-' (a gap); anything else is an error with its line.
func fastaTexts(in *bufio.Reader, emit func(text string) error) error {
	p := newParagraph(emit)
	header, comment, inRecord := false, false, false
	line, begins := 1, true
	for {
		c, _, err := in.ReadRune()
		if err == io.EOF {
			return p.end()
		}
		if err != nil {
			return err
		}
		switch {
		case c == '\n' || c == '\r':
			header, comment, begins = false, false, true
			if c == '\n' {
				line++
			}
			continue
		case header || comment:
		case begins && c == '>':
			header, inRecord = true, true
			if err := p.end(); err != nil {
				return err
			}
		case begins && c == ';':
			comment = true
		case unicode.IsSpace(c):
		case !inRecord:
			return fmt.Errorf("line %d: a sequence without a header before it, a line that begins with '>'", line)
		case c > unicode.MaxASCII || !unicode.IsLetter(c) && c != '*' && c != '-':
			return fmt.Errorf("line %d: %q is no residue: a letter, '*' or '-'", line, c)
		default:
			if err := p.add(c); err != nil {
				return err
			}
			if err := p.add(' '); err != nil {
				return err
			}
		}
		begins = false
	}
}
