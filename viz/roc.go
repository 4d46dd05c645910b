// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"sort"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"metrolab/viz/internal/typeset"
)

// ROC draws how many replaced tokens a detector finds against how many originals it accuses, over all thresholds, with
// the area under each curve.
type ROC struct {
	Name    string // of the figure's file
	Title   string
	Caption string // what to see in it; may be empty
	Series  []Detection
}

// Figure draws the curves. It fails where lengths differ, a probability is none, or a series has tokens of one kind only.
func (r ROC) Figure() (Figure, error) {
	if err := checkDetections("ROC", r.Name, r.Series); err != nil {
		return Figure{}, err
	}
	d := newROCDrawing(r)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(r.Name, r.Title, r.Caption, d.data())
}

type rocDrawing struct {
	ROC
	chart
	curves []Line
	areas  []float64
}

func newROCDrawing(r ROC) *rocDrawing {
	unit := scale{min: 0, max: 1}
	d := &rocDrawing{ROC: r, chart: chart{title: r.Title, subtitle: "Over all thresholds; the dashed line is chance", square: true, x: unit, y: unit,
		xAxis: Axis{Label: "originals called replaced"}, yAxis: Axis{Label: "replaced tokens found"}}}
	for i, s := range r.Series {
		x, y, area := s.roc()
		d.curves, d.areas = append(d.curves, Line{x, y}), append(d.areas, area)
		d.keys = append(d.keys, newKey(i, s.Name, "AUC "+typeset.Fixed(area, 3)))
	}
	d.layout()
	for i := range d.keys {
		d.keys[i].end = vg.Point{X: d.panel.Min.X, Y: d.y.at(d.curves[i].stepAt(0.2))}
	}
	return d
}

// stepAt is the last Y whose X is at most x.
func (l Line) stepAt(x float64) float64 {
	return l.Y[sort.Search(len(l.X), func(i int) bool { return l.X[i] > x })-1]
}

func (d *rocDrawing) data() string {
	var parts []string
	for i, s := range d.Series {
		parts = append(parts, fmt.Sprintf("%s %s (%d of %d tokens replaced)", typeset.Printable(s.Name), typeset.Fixed(d.areas[i], 3), s.replaced(), len(s.Replaced)))
	}
	return "Area under the ROC curve: " + strings.Join(parts, "; ") + "."
}

func (d *rocDrawing) draw(p page) {
	d.drawFrame(p)
	d.plot(p, d.level(0, 1))
	for i, curve := range d.curves {
		line := d.visible(curve.xys())
		d.plot(p, &plotter.Line{XYs: line, LineStyle: seriesLine(i)})
		d.drawMarks(p, i, len(d.Series), 4, d.points(line))
	}
	d.drawFoot(p)
	d.drawKeys(p)
}

// visible leaves out points that are nearer to the one before than the eye can tell.
func (c *chart) visible(line plotter.XYs) plotter.XYs {
	kept := line[:1:1]
	for i, xy := range line[1:] {
		before := kept[len(kept)-1]
		last, pt := c.at(before.X, before.Y), c.at(xy.X, xy.Y)
		if dx, dy := pt.X-last.X, pt.Y-last.Y; dx*dx+dy*dy > 0.2 || i == len(line)-2 {
			kept = append(kept, xy)
		}
	}
	return kept
}
