// SPDX-License-Identifier: Apache-2.0

package viz

import "metrolab/viz/display"

// Bundle implements [display.Output]: the PNG, and title, caption and numbers as the text beside it.
func (f Figure) Bundle() (display.Bundle, error) {
	if err := f.check(); err != nil {
		return display.Bundle{}, err
	}
	return display.Bundle{Name: f.Name, Width: f.Width, Forms: map[string][]byte{display.PNG: f.PNG, display.Text: []byte(f.Title + "\n" + f.Alt)}}, nil
}

// drawn is the bundle of a picture.
func drawn(f Figure, err error) (display.Bundle, error) {
	if err != nil {
		return display.Bundle{}, err
	}
	return f.Bundle()
}

// Bundle implements [display.Output] by the Figure.
func (c Curves) Bundle() (display.Bundle, error) { return drawn(c.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (f Forest) Bundle() (display.Bundle, error) { return drawn(f.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (b Bars) Bundle() (display.Bundle, error) { return drawn(b.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (h Heatmap) Bundle() (display.Bundle, error) { return drawn(h.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (r ROC) Bundle() (display.Bundle, error) { return drawn(r.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (c Calibration) Bundle() (display.Bundle, error) { return drawn(c.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (g GeneratorSizes) Bundle() (display.Bundle, error) { return drawn(g.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (s Shares) Bundle() (display.Bundle, error) { return drawn(s.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (c Correction) Bundle() (display.Bundle, error) { return drawn(c.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (t Timings) Bundle() (display.Bundle, error) { return drawn(t.Figure()) }

// Bundle implements [display.Output] by the Figure.
func (k KaplanMeier) Bundle() (display.Bundle, error) { return drawn(k.Figure()) }
