// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"cmp"
	"fmt"
	"image/color"
	"strings"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"metrolab/internal/spelling"
	"metrolab/viz/internal/typeset"
)

// Forest is the forest plot of a study: for each arm its difference to the baseline as a point with its 95 % interval,
// the verdict as color and shape, and the numbers in words.
type Forest struct {
	Name          string // of the figure's file
	Title         string
	Subtitle      string // what a row is and whence its verdict; "" says that it is an arm against the baseline, judged by Holm-adjusted p
	Caption       string // what to see in it; may be empty
	Outcome       string // what is compared, such as "RTD AUC"
	LowerIsBetter bool
	Effects       Effects // one an arm
}

// Figure draws the plot. It fails where there is no arm, or one whose verdict or interval makes no sense.
func (f Forest) Figure() (Figure, error) {
	if err := checkName(f.Name); err != nil {
		return Figure{}, err
	}
	if len(f.Effects) == 0 {
		return Figure{}, fmt.Errorf("viz: forest %q has no arms", f.Name)
	}
	if err := f.Effects.Check(); err != nil {
		return Figure{}, fmt.Errorf("viz: forest %q: %w", f.Name, err)
	}
	d := forestDrawing{Forest: f, decimals: f.Effects.Decimals()}
	d.layout()
	p := newPage(d.height)
	d.draw(p)
	return p.figure(f.Name, f.Title, f.Caption, d.data())
}

type forestDrawing struct {
	Forest
	decimals int
	names    [][]string
	verdicts [][]string
	heights  []vg.Length
	x        scale
	panel    vg.Rectangle
	height   vg.Length
}

const (
	forestNames   vg.Length = 150 // widest name
	forestRow     vg.Length = 27  // least height
	verdictColumn vg.Length = 58
	columnHeads   vg.Length = 16
	numbersHead             = "difference [95 % interval]"
)

func (d *forestDrawing) layout() {
	var rows, names vg.Length
	numbers := smallFace.Width(numbersHead)
	for _, e := range d.Effects {
		lines := wrap(labelFace, e.Name, forestNames)
		says := wrap(verdictFace(e), e.Says(), verdictColumn)
		d.names, d.verdicts = append(d.names, lines), append(d.verdicts, says)
		d.heights = append(d.heights, max(forestRow, lineHeight(labelFace)*vg.Length(len(lines))+8, lineHeight(verdictFace(e))*vg.Length(len(says))+8))
		rows += d.heights[len(d.heights)-1]
		for _, line := range lines {
			names = max(names, labelFace.Width(line))
		}
		numbers = max(numbers, labelFace.Width(d.numbers(e)), smallFace.Width(d.pairs(e)))
	}
	left, right := margin+names+12, pageWidth-margin-verdictColumn-numbers-14
	bottom := margin + xAxisHeight(d.axisLabel(), right-left) + lineHeight(smallFace)
	top := headingHeight(d.Title, d.subtitle()) + columnHeads
	d.height = top + rows + bottom
	d.panel = vg.Rectangle{Min: vg.Point{X: left, Y: bottom}, Max: vg.Point{X: right, Y: bottom + rows}}
	low, high := d.Effects.Range()
	d.x = scale{min: low, max: high}.place(left, right)
}

func (d *forestDrawing) subtitle() string {
	return cmp.Or(d.Subtitle, "Mean paired difference to the baseline with 95 % interval; the verdict is by Holm-adjusted p")
}

func (d *forestDrawing) axisLabel() string { return "difference in " + d.Outcome }

func (d *forestDrawing) numbers(e Effect) string {
	return intervalText(e, d.decimals)
}

// intervalText is "−0.256 [−0.339, −0.173]", without brackets where there is no interval.
func intervalText(e Effect, decimals int) string {
	if !typeset.Finite(e.Low) {
		return typeset.Signed(e.Diff, decimals)
	}
	return fmt.Sprintf("%s [%s, %s]", typeset.Signed(e.Diff, decimals), typeset.Signed(e.Low, decimals), typeset.Signed(e.High, decimals))
}

func (d *forestDrawing) pairs(e Effect) string {
	switch {
	case e.Pairs == 0:
		return "no complete pair"
	case !typeset.Finite(e.Low):
		return spelling.Plural(e.Pairs, "pair") + ", no interval"
	default:
		return spelling.Plural(e.Pairs, "pair") + ", p " + typeset.Probability(e.HolmP)
	}
}

func (d *forestDrawing) data() string {
	var parts []string
	for _, e := range d.Effects {
		parts = append(parts, fmt.Sprintf("%s %s, %s (%s)", typeset.Printable(e.Name), d.numbers(e), e.Says(), d.pairs(e)))
	}
	return "Paired difference in " + d.Outcome + " to the baseline: " + strings.Join(parts, "; ") + "."
}

func (d *forestDrawing) draw(p page) {
	p.heading(d.Title, d.subtitle())
	y := d.panel.Max.Y
	for i, height := range d.heights {
		if i%2 == 0 {
			p.box(stripe, margin-4, y-height, pageWidth-margin+4, y)
		}
		y -= height
	}
	d.drawAxis(p)
	y = d.panel.Max.Y
	for i, e := range d.Effects {
		d.drawRow(p, e, d.names[i], d.verdicts[i], y-d.heights[i]/2)
		y -= d.heights[i]
	}
}

func (d *forestDrawing) drawAxis(p page) {
	p.drawX(d.panel, d.x, d.axisLabel(), xTicks(d.panel, d.x))
	p.StrokeLine2(axisLine, d.panel.Min.X, d.panel.Min.Y, d.panel.Max.X, d.panel.Min.Y)
	zero := d.x.at(0)
	p.StrokeLine2(draw.LineStyle{Color: softInk, Width: 1}, zero, d.panel.Min.Y, zero, d.panel.Max.Y+3)
	left, right := "\u2190 worse", "better \u2192"
	if d.LowerIsBetter {
		left, right = "\u2190 better", "worse \u2192"
	}
	y := margin + lineHeight(smallFace)/2
	p.write(smallFace, d.panel.Min.X, y, left)
	p.write(aligned(smallFace, text.XRight), d.panel.Max.X, y, right)
	head := d.panel.Max.Y + columnHeads/2 - 2
	p.write(smallFace, margin, head, "arm")
	p.write(aligned(smallFace, text.XRight), pageWidth-margin-verdictColumn-6, head, numbersHead)
	p.write(smallFace, pageWidth-margin-verdictColumn+2, head, "verdict")
}

func (d *forestDrawing) drawRow(p page, e Effect, name, verdict []string, y vg.Length) {
	c, shape := verdictLook(e.Verdict)
	p.paragraph(labelFace, margin, y, name)
	if typeset.Finite(e.Low) {
		line := draw.LineStyle{Color: c, Width: 1.6}
		p.StrokeLine2(line, d.x.at(e.Low), y, d.x.at(e.High), y)
		for _, end := range []vg.Length{d.x.at(e.Low), d.x.at(e.High)} {
			p.StrokeLine2(line, end, y-3, end, y+3)
		}
	}
	if typeset.Finite(e.Diff) {
		at := vg.Point{X: d.x.at(e.Diff), Y: y}
		p.DrawGlyphNoClip(draw.GlyphStyle{Color: paper, Radius: 4.6, Shape: draw.CircleGlyph{}}, at)
		p.DrawGlyphNoClip(draw.GlyphStyle{Color: c, Radius: 4.2, Shape: shape}, at)
	}
	right := pageWidth - margin - verdictColumn - 6
	p.write(aligned(labelFace, text.XRight), right, y+lineHeight(smallFace)/2-0.5, d.numbers(e))
	p.write(aligned(smallFace, text.XRight), right, y-lineHeight(labelFace)/2+0.5, d.pairs(e))
	p.paragraph(inked(verdictFace(e), c), pageWidth-margin-verdictColumn+2, y, verdict)
}

// verdictFace is bold for a word, and small for the sentence that says why there is none.
func verdictFace(e Effect) text.Style {
	if e.Verdict == None {
		return smallFace
	}
	return bold(labelFace)
}

// verdictLook is color and shape: a triangle up is better, one down is worse, a square is equivalent, a ring is open.
func verdictLook(v Verdict) (color.NRGBA, draw.GlyphDrawer) {
	switch v {
	case Better:
		return betterInk, draw.PyramidGlyph{}
	case Worse:
		return worseInk, invertedPyramid{}
	case Equivalent:
		return equivalentInk, draw.BoxGlyph{}
	default:
		return undecidedInk, hollow{draw.CircleGlyph{}}
	}
}

// box fills a rectangle.
func (p page) box(c color.Color, left, bottom, right, top vg.Length) {
	p.FillPolygon(c, []vg.Point{{X: left, Y: bottom}, {X: right, Y: bottom}, {X: right, Y: top}, {X: left, Y: top}})
}
