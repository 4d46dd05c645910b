// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
)

// Detection is what a detector said of some tokens, and what they were: its probability that a token is replaced, and
// whether it is. Both have one entry a token. [ROC] and [Calibration] draw it.
type Detection struct {
	Name        string
	Probability []float64
	Replaced    []bool
}

// checkDetections refuses lengths that differ, what is no probability, and tokens of one kind only.
func checkDetections(kind, name string, series []Detection) error {
	if err := checkName(name); err != nil {
		return err
	}
	if len(series) == 0 {
		return fmt.Errorf("viz: %s %q: nothing to draw: no series", kind, name)
	}
	for _, s := range series {
		if err := s.check(); err != nil {
			return fmt.Errorf("viz: %s %q: series %q %w", kind, name, s.Name, err)
		}
	}
	return nil
}

func (d Detection) check() error {
	if len(d.Probability) != len(d.Replaced) {
		return fmt.Errorf("has %d probabilities for %d tokens", len(d.Probability), len(d.Replaced))
	}
	for i, p := range d.Probability {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("has %g at token %d, which is no probability; give the sigmoid of the RTD logits", p, i)
		}
	}
	if n := d.replaced(); n == 0 || n == len(d.Replaced) {
		return fmt.Errorf("has %d replaced tokens of %d; it takes both kinds", n, len(d.Replaced))
	}
	return nil
}

func (d Detection) replaced() int {
	n := 0
	for _, r := range d.Replaced {
		if r {
			n++
		}
	}
	return n
}

// roc are the points of the ROC curve, the shares of original and of replaced tokens at or above a falling threshold,
// with tokens of equal probability together, and the area under it.
func (d Detection) roc() (x, y []float64, area float64) {
	probability, replaced := slices.Clone(d.Probability), slices.Clone(d.Replaced)
	stat.SortWeightedLabeled(probability, replaced, nil)
	y, x, _ = stat.ROC(nil, probability, replaced, nil)
	x[0], y[0] = 0, 0 // which n · 1/n, rounded, may miss
	return x, y, integrate.Trapezoidal(x, y)
}
