// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"html/template"
	"strings"

	"metrolab/viz/internal/typeset"
)

// Correction is a text as the main model sees it: every token tinted by the probability that it was replaced, and what
// the model would write instead above it.
type Correction struct {
	Name    string // of the figure's file
	Title   string
	Caption string // what to see in it; may be empty
	Tokens  []Token
}

// Token is one token, or one word, of a [Correction].
type Token struct {
	Text       string  // as in the text; a leading "##" joins it to the token before, as WordPiece writes it
	Joined     bool    // no space comes before it in the text, as before a full stop
	Replaced   float64 // probability that it was replaced
	Correction string  // what the model would write instead; empty for nothing
}

// joined reports whether no space comes before the token.
func (t Token) joined() bool { return t.Joined || t.continues() }

// continues reports whether the token is a later piece of a word.
func (t Token) continues() bool { return strings.HasPrefix(t.Text, "##") && len(t.Text) > 2 }

func (t Token) text() string {
	if t.continues() {
		return typeset.Printable(t.Text[2:])
	}
	return typeset.Printable(t.Text)
}

// Figure draws the text. It fails where there is no token, a probability is none, or the text is longer than a picture
// can show, some 2,000 tokens.
func (c Correction) Figure() (Figure, error) {
	if err := c.check(); err != nil {
		return Figure{}, err
	}
	d := newCorrectionDrawing(c)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(c.Name, c.Title, c.Caption, c.data())
}

func (c Correction) check() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	const most = 2000
	if n := len(c.Tokens); n == 0 || n > most {
		return fmt.Errorf("viz: correction %q: %d tokens; it takes 1 to %d", c.Name, n, most)
	}
	for i, t := range c.Tokens {
		if !(t.Replaced >= 0 && t.Replaced <= 1) {
			return fmt.Errorf("viz: correction %q: token %d (%q) has %g, which is no probability; give the sigmoid of its RTD logit", c.Name, i, t.Text, t.Replaced)
		}
	}
	return nil
}

// data is the text with what the model doubts in brackets.
func (c Correction) data() string {
	var b strings.Builder
	for _, t := range c.Tokens {
		if b.Len() > 0 && !t.joined() {
			b.WriteByte(' ')
		}
		b.WriteString(t.text())
		switch {
		case t.Correction != "":
			fmt.Fprintf(&b, " [%s, %s]", typeset.Printable(t.Correction), typeset.Fixed(t.Replaced, 2))
		case t.Replaced >= 0.5:
			fmt.Fprintf(&b, " [%s]", typeset.Fixed(t.Replaced, 2))
		}
	}
	return "Probability of replaced in brackets, with the correction before it: " + b.String()
}

// HTML returns the text as one paragraph that can be selected, with the probabilities to hover over: no script, no style
// sheet, no class. Where styles are stripped the corrections stay. The tints let a page's own background through, be it light
// or dark.
func (c Correction) HTML() (template.HTML, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(`<p style="line-height:2.4">`)
	for i, t := range c.Tokens {
		if i > 0 && !t.joined() {
			b.WriteByte('\n')
		}
		b.WriteString(t.html())
	}
	b.WriteString("</p>\n")
	return template.HTML(b.String()), nil
}

func (t Token) html() string {
	word := template.HTMLEscapeString(t.text())
	if t.Correction != "" {
		word = fmt.Sprintf("<s>%s</s><sup><b>%s</b></sup>", word, template.HTMLEscapeString(typeset.Printable(t.Correction)))
	}
	orange, ink := suspicion[len(suspicion)-1], ""
	if t.Replaced > 0.75 { // where a page's own letters may be too light for it
		ink = ";color:#1f2328"
	}
	return fmt.Sprintf(`<span title="replaced: %s" style="background-color:rgba(%d,%d,%d,%.2f)%s">%s</span>`,
		typeset.Fixed(t.Replaced, 3), orange.R, orange.G, orange.B, t.Replaced, ink, word)
}
