// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// key names a curve beside its end, which spares the reader the way to a legend and back.
type key struct {
	series int
	lines  []string
	note   string
	end    vg.Point // of the curve
	y      vg.Length
}

const (
	keyGap    vg.Length = 10 // from the panel to the sample of the line
	keySample vg.Length = 24
	keyText   vg.Length = 125 // widest text
)

func newKey(series int, name, note string) key {
	return key{series: series, lines: wrap(labelFace, name, keyText), note: note}
}

func (k key) textHeight() vg.Length {
	height := lineHeight(labelFace) * vg.Length(len(k.lines))
	if k.note != "" {
		height += lineHeight(smallFace)
	}
	return height
}

func (k key) height() vg.Length { return max(lineHeight(labelFace), k.textHeight()) + 3 }

func keysWidth(keys []key) vg.Length {
	var width vg.Length
	for _, k := range keys {
		width = max(width, smallFace.Width(k.note))
		for _, line := range k.lines {
			width = max(width, labelFace.Width(line))
		}
	}
	return keyGap + keySample + 5 + width
}

func keysHeight(keys []key) vg.Length {
	var height vg.Length
	for _, k := range keys {
		height += k.height()
	}
	return height
}

// drawKeys draws every key as near to the end of its curve as the others let it. A curve that ends at the panel's right
// edge is joined to its key.
func (c *chart) drawKeys(p page) {
	spread(c.keys, c.panel.Min.Y, c.panel.Max.Y)
	x := c.panel.Max.X + keyGap
	for _, k := range c.keys {
		if k.end.X > c.panel.Max.X-keyGap && k.end.Y >= c.panel.Min.Y {
			leader := draw.LineStyle{Color: faded(seriesColor(k.series), 0x60), Width: 0.6}
			p.StrokeLines(leader, []vg.Point{k.end, {X: c.panel.Max.X, Y: k.end.Y}, {X: x - 1, Y: k.y}})
		}
		p.StrokeLine2(seriesLine(k.series), x, k.y, x+keySample, k.y)
		p.DrawGlyphNoClip(seriesMark(k.series), vg.Point{X: x + keySample/2, Y: k.y})
		k.writeText(p, x+keySample+5)
	}
}

func (k key) writeText(p page, x vg.Length) {
	top := k.y + k.textHeight()/2
	middle := top - lineHeight(labelFace)*vg.Length(len(k.lines))/2
	p.paragraph(labelFace, x, middle, k.lines)
	if k.note != "" {
		p.write(smallFace, x, top-k.textHeight()+lineHeight(smallFace)/2, k.note)
	}
}

// spread sets the heights of keys between bottom and top: in the order of their curves' ends, never overlapping, and
// close to where they would like to be. The keys must fit.
func spread(keys []key, bottom, top vg.Length) {
	slices.SortStableFunc(keys, func(a, b key) int {
		switch {
		case a.end.Y > b.end.Y:
			return -1
		case a.end.Y < b.end.Y:
			return 1
		}
		return 0
	})
	limit := top
	for i := range keys { // downwards: none overlaps the one above
		half := keys[i].height() / 2
		keys[i].y = min(keys[i].end.Y, limit-half)
		limit = keys[i].y - half
	}
	limit = bottom
	for i := len(keys) - 1; i >= 0; i-- { // upwards: push back what fell off the foot
		half := keys[i].height() / 2
		keys[i].y = max(keys[i].y, limit+half)
		limit = keys[i].y + half
	}
}
