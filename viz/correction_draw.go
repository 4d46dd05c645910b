// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"slices"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"metrolab/viz/internal/typeset"
)

var (
	tokenFace = face(11, ink, text.XCenter)
	aboveFace = bold(face(8.5, fixInk, text.XCenter))
	fixInk    = palette[1]
)

const (
	tokenPad   vg.Length = 2 // at both ends of a word
	tokenSpace vg.Length = 4 // between words
	tokenBox   vg.Length = 17
	aboveLine  vg.Length = 12 // of corrections
	lineSpace  vg.Length = 5
)

// correctionDrawing is a Correction with each token's place.
type correctionDrawing struct {
	Correction
	boxes   []tokenPlace
	bottoms []vg.Length // of the lines' boxes, counted downwards from the foot of the heading
	top     vg.Length   // height of the heading
	height  vg.Length
}

// tokenPlace is where a token stands on the page; text is centered on middle.
type tokenPlace struct {
	line                int
	left, right, middle vg.Length
	text, above         string
}

func newCorrectionDrawing(c Correction) *correctionDrawing {
	d := &correctionDrawing{Correction: c}
	line, x := 0, margin
	for i := range c.Tokens {
		box, space := d.place(i)
		if x+space+box.right > pageWidth-margin && x > margin {
			line, x, space = line+1, margin, 0
		}
		x += space
		box.line, box.left, box.right, box.middle = line, x, x+box.right, x+box.middle
		x = box.right
		d.boxes = append(d.boxes, box)
	}
	d.bottoms = make([]vg.Length, line+1)
	for i := range d.bottoms {
		if d.bottoms[i] = tokenBox + lineSpace; d.corrected(i) {
			d.bottoms[i] += aboveLine
		}
		if i > 0 {
			d.bottoms[i] += d.bottoms[i-1]
		}
	}
	d.top = headingHeight(c.Title, correctionSays) + 26
	d.height = d.top + d.bottoms[line] + margin
	return d
}

// place returns the box of token i as if it began at 0, and the space before it.
func (d *correctionDrawing) place(i int) (box tokenPlace, space vg.Length) {
	t := d.Tokens[i]
	const most = pageWidth - 2*margin - 2*tokenPad
	box = tokenPlace{text: shorten(tokenFace, t.text(), most), above: shorten(aboveFace, t.Correction, most)}
	left, right := tokenPad, tokenPad
	switch {
	case t.joined():
		left = 0
	case i > 0:
		space = tokenSpace
	}
	if i+1 < len(d.Tokens) && d.Tokens[i+1].joined() {
		right = 0
	}
	width := max(tokenFace.Width(box.text), aboveFace.Width(box.above))
	box.middle, box.right = left+width/2, left+width+right
	return box, space
}

// corrected reports whether a token of the line has a correction.
func (d *correctionDrawing) corrected(line int) bool {
	return slices.ContainsFunc(d.boxes, func(b tokenPlace) bool { return b.line == line && b.above != "" })
}

const correctionSays = "Tint: probability that the token was replaced; above it, what the model would write"

func (d *correctionDrawing) draw(p page) {
	p.heading(d.Title, correctionSays)
	d.drawTints(p)
	for i, box := range d.boxes {
		bottom := d.height - d.top - d.bottoms[box.line]
		p.paint(suspicion, d.Tokens[i].Replaced, box.left, bottom, box.right, bottom+tokenBox)
		p.write(tokenFace, box.middle, bottom+tokenBox/2, box.text)
		if box.above != "" {
			p.write(aboveFace, box.middle, bottom+tokenBox+5.5, box.above)
			half := tokenFace.Width(box.text) / 2
			p.StrokeLine2(draw.LineStyle{Color: ink, Width: 0.8}, box.middle-half, bottom+tokenBox/2, box.middle+half, bottom+tokenBox/2)
		}
	}
}

// drawTints explains the tints under the heading.
func (d *correctionDrawing) drawTints(p page) {
	const steps, width = 5, 30
	y := d.height - d.top + 8
	for i := range steps {
		share := float64(i) / (steps - 1)
		x := margin + width*vg.Length(i)
		p.paint(suspicion, share, x, y, x+width, y+13)
		p.write(aligned(inked(smallFace, ink), text.XCenter), x+width/2, y+6.5, typeset.Fixed(share, 2))
	}
	p.frame(vg.Rectangle{Min: vg.Point{X: margin, Y: y}, Max: vg.Point{X: margin + steps*width, Y: y + 13}})
}
