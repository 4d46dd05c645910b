// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"image/color"
	"math"
	"strings"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"metrolab/viz/internal/typeset"
)

// dpi is twice the density that a browser assumes, so that a figure shown at half its pixels is sharp on fine screens.
const dpi = 192

// pageWidth of every figure is 540 pt, 720 CSS pixels.
const pageWidth, margin vg.Length = 540, 12

var fonts = text.Plain{Fonts: font.NewCache(liberation.Collection())}

// page is a white sheet that figures are drawn on; lengths are points, y grows upwards.
type page struct {
	draw.Canvas
	img *vgimg.Canvas
}

func newPage(height vg.Length) page {
	img := vgimg.NewWith(vgimg.UseWH(pageWidth, height), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(paper))
	return page{Canvas: draw.New(img), img: img}
}

// within is the part of the page that a panel takes, for plotters.
func (p page) within(panel vg.Rectangle) draw.Canvas {
	return draw.Canvas{Canvas: p.Canvas.Canvas, Rectangle: panel}
}

// snapped is the nearest edge between two pixels. Whole pixels keep lines sharp, and as few digits they let plotters reach
// the edges of a panel without rounding past them.
func snapped(l vg.Length) vg.Length {
	const pixel = vg.Inch / dpi
	return vg.Length(math.Round(float64(l/pixel))) * pixel
}

// figure encodes the page. The data are its numbers in words.
func (p page) figure(name, title, caption, data string) (Figure, error) {
	picture, err := encodePNG(p.img.Image())
	if err != nil {
		return Figure{}, fmt.Errorf("viz: figure %q: encode PNG: %w", name, err)
	}
	size := p.img.Image().Bounds().Size()
	alt := strings.TrimSpace(caption + " " + data)
	return Figure{Name: name, Title: title, Caption: caption, Alt: alt, PNG: picture,
		Width: size.X / 2, Height: size.Y / 2}, nil
}

// face is a text style: Liberation Sans of a size in points.
func face(size vg.Length, c color.Color, xAlign text.XAlignment) text.Style {
	return text.Style{Color: c, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, XAlign: xAlign,
		Handler: fonts}
}

func bold(s text.Style) text.Style {
	s.Font.Weight = stdfont.WeightBold
	return s
}

// write draws one line of text whose capitals stand centered on the height y.
func (p page) write(s text.Style, x, y vg.Length, txt string) {
	const halfCapital = 0.36 // of the size, in Liberation Sans
	s.YAlign = text.YBottom
	p.FillText(s, vg.Point{X: x, Y: y - halfCapital*s.Font.Size}, txt)
}

// lineHeight is the distance of two lines of text.
func lineHeight(s text.Style) vg.Length { return 1.28 * s.Font.Size }

// paragraph draws lines around the height y.
func (p page) paragraph(s text.Style, x, y vg.Length, lines []string) {
	y += lineHeight(s) * vg.Length(len(lines)-1) / 2
	for _, line := range lines {
		p.write(s, x, y, line)
		y -= lineHeight(s)
	}
}

// heading draws title and subtitle from the top of the page down; headingHeight is what it takes.
func (p page) heading(title, subtitle string) {
	y := p.Max.Y - margin
	draw := func(s text.Style, txt string) {
		for _, line := range wrap(s, txt, pageWidth-2*margin) {
			p.write(s, margin, y-lineHeight(s)/2, line)
			y -= lineHeight(s)
		}
	}
	draw(titleFace, title)
	y -= 1
	draw(subtitleFace, subtitle)
}

func headingHeight(title, subtitle string) vg.Length {
	lines := func(s text.Style, txt string) vg.Length {
		return lineHeight(s) * vg.Length(len(wrap(s, txt, pageWidth-2*margin)))
	}
	return margin + lines(titleFace, title) + lines(subtitleFace, subtitle) + 1
}

var (
	titleFace    = bold(face(12, ink, text.XLeft))
	subtitleFace = face(9, softInk, text.XLeft)
	labelFace    = face(9.5, ink, text.XLeft)
	smallFace    = face(8.5, softInk, text.XLeft)
	axisFace     = face(9, ink, text.XLeft)
)

func aligned(s text.Style, x text.XAlignment) text.Style {
	s.XAlign = x
	return s
}

func inked(s text.Style, c color.Color) text.Style {
	s.Color = c
	return s
}

// wrap breaks txt into lines no wider than width: between words, and inside one that is wider than a line.
// Control characters and line breaks count as spaces. Empty text has no lines.
func wrap(s text.Style, txt string, width vg.Length) []string {
	return typeset.Wrap(func(t string) bool { return s.Width(t) <= width }, txt)
}

// shorten is the first line of txt, ending in an ellipsis where that is not all.
func shorten(s text.Style, txt string, width vg.Length) string {
	lines := wrap(s, txt, width)
	switch len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	}
	return wrap(s, txt, width-s.Width("\u2026"))[0] + "\u2026"
}
