// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The inks of everything that is not data.
var (
	ink     = color.NRGBA{0x1F, 0x23, 0x28, 0xFF}
	softInk = color.NRGBA{0x5B, 0x63, 0x6D, 0xFF}
	axisInk = color.NRGBA{0x9A, 0xA2, 0xAC, 0xFF}
	gridInk = color.NRGBA{0xE6, 0xE9, 0xED, 0xFF}
	stripe  = color.NRGBA{0xF6, 0xF7, 0xF9, 0xFF}
	paper   = color.NRGBA{0xFF, 0xFF, 0xFF, 0xFF}

	betterInk     = color.NRGBA{0x00, 0x86, 0x62, 0xFF}
	worseInk      = color.NRGBA{0xC4, 0x52, 0x00, 0xFF}
	equivalentInk = color.NRGBA{0x2F, 0x6D, 0xB5, 0xFF}
	undecidedInk  = color.NRGBA{0x6B, 0x72, 0x7C, 0xFF}
)

// palette is that of Okabe and Ito with its yellow, too pale on paper, replaced by a grey. The first color, black, falls
// to the first series, which in this project is the baseline.
var palette = []color.NRGBA{
	{0x00, 0x00, 0x00, 0xFF}, {0x00, 0x72, 0xB2, 0xFF}, {0xD5, 0x5E, 0x00, 0xFF}, {0x00, 0x9E, 0x73, 0xFF},
	{0xCC, 0x79, 0xA7, 0xFF}, {0xE6, 0x9F, 0x00, 0xFF}, {0x56, 0xB4, 0xE9, 0xFF}, {0x84, 0x84, 0x84, 0xFF},
}

// Numbers of dash patterns and markers share no divisor with each other, so that no two of the first 35 series look the same
// without color.
var (
	dashes = [][]vg.Length{nil, {6, 2.5}, {1.6, 2}, {8, 2, 1.6, 2}, {3.5, 1.6}}
	marks  = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, hollow{draw.CircleGlyph{}},
		invertedPyramid{}, hollow{draw.BoxGlyph{}}, hollow{draw.PyramidGlyph{}}}
)

func seriesColor(i int) color.NRGBA { return palette[i%len(palette)] }

func seriesLine(i int) draw.LineStyle {
	return draw.LineStyle{Color: seriesColor(i), Width: 1.5, Dashes: dashes[i%len(dashes)]}
}

func seriesMark(i int) draw.GlyphStyle {
	return draw.GlyphStyle{Color: seriesColor(i), Radius: 2.6, Shape: marks[i%len(marks)]}
}

func faded(c color.NRGBA, alpha uint8) color.NRGBA {
	c.A = alpha
	return c
}

// hollow is the outline of a filled shape, with paper inside.
type hollow struct{ shape draw.GlyphDrawer }

// DrawGlyph implements [draw.GlyphDrawer].
func (h hollow) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	h.shape.DrawGlyph(c, s, at)
	s.Color, s.Radius = paper, 0.55*s.Radius
	c.SetColor(s.Color)
	h.shape.DrawGlyph(c, s, at)
}

// cross is a thick ×, where [draw.CrossGlyph] is a thin one.
type cross struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (cross) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	line, r := draw.LineStyle{Color: s.Color, Width: 1.4}, s.Radius
	c.StrokeLine2(line, at.X-r, at.Y-r, at.X+r, at.Y+r)
	c.StrokeLine2(line, at.X-r, at.Y+r, at.X+r, at.Y-r)
}

// invertedPyramid is a filled triangle that points down, as large as [draw.PyramidGlyph].
type invertedPyramid struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (invertedPyramid) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	const cos30, sin30 = 0.866, 0.5
	r := 1.25 * s.Radius
	var outline vg.Path
	outline.Move(vg.Point{X: at.X, Y: at.Y - r})
	outline.Line(vg.Point{X: at.X - cos30*r, Y: at.Y + sin30*r})
	outline.Line(vg.Point{X: at.X + cos30*r, Y: at.Y + sin30*r})
	outline.Close()
	c.Fill(outline)
}
