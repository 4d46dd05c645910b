// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"cmp"
	"fmt"
	"math"

	"metrolab/viz/internal/typeset"
)

// Verdict is what a study knows about one arm against its baseline.
type Verdict string

// The verdicts. Undecided means that the data do not tell, not that there is no difference; Equivalent that there is none as
// large as a margin. None means that they may not be asked; the effect's Words say why.
const (
	Better     Verdict = "better"
	Worse      Verdict = "worse"
	Equivalent Verdict = "equivalent"
	Undecided  Verdict = "undecided"
	None       Verdict = "none"
)

// Effect is the paired difference of one arm to the baseline on the outcome that was fixed beforehand. NaN stands for
// what is not known, such as the interval of a single pair.
type Effect struct {
	Name      string
	Pairs     int     // seeds at which both arm and baseline have an outcome
	Mean      float64 // of the arm over these pairs
	Diff      float64 // mean of arm − baseline
	Low, High float64 // its 95 % interval
	P, HolmP  float64 // two-sided; HolmP is adjusted over all arms
	Verdict   Verdict
	Words     string // the verdict as it is shown, such as why there is none; empty for the verdict's own word
	Note      string // in words: failed runs, how far from a verdict; may be empty
}

// Says is the verdict as it is shown.
func (e Effect) Says() string { return cmp.Or(e.Words, string(e.Verdict)) }

func (e Effect) check() error {
	switch e.Verdict {
	case Better, Worse, Equivalent, Undecided, None:
	default:
		return fmt.Errorf("%q has the verdict %q; it must be better, worse, equivalent or undecided", e.Name, e.Verdict)
	}
	if typeset.Finite(e.Low) != typeset.Finite(e.High) || typeset.Finite(e.Low) && !(e.Low <= e.Diff && e.Diff <= e.High) {
		return fmt.Errorf("%q has a difference of %g outside its interval [%g, %g]", e.Name, e.Diff, e.Low, e.High)
	}
	return nil
}

// Effects are the arms of one study, which are drawn to one scale and written with as many decimals.
type Effects []Effect

// Check fails on the first arm whose verdict or interval makes no sense.
func (es Effects) Check() error {
	for _, e := range es {
		if err := e.check(); err != nil {
			return fmt.Errorf("arm %w", err)
		}
	}
	return nil
}

// Decimals is the number of decimals that shows the largest number with three digits, or one more where an interval is narrow.
func (es Effects) Decimals() int {
	var values []float64
	narrowest := math.Inf(1)
	for _, e := range es {
		values = append(values, e.Diff, e.Low, e.High)
		if e.High > e.Low {
			narrowest = min(narrowest, (e.High-e.Low)/2)
		}
	}
	least := typeset.Decimals(values...)
	if math.IsInf(narrowest, 1) {
		return least
	}
	return max(least, min(least+1, typeset.Decimals(narrowest)-1))
}

// Range holds zero, every difference and every interval, with a little air around them.
func (es Effects) Range() (low, high float64) {
	x := newExtent()
	x.add(0)
	for _, e := range es {
		for _, v := range []float64{e.Low, e.Diff, e.High} {
			if typeset.Finite(v) {
				x.add(v)
			}
		}
	}
	if x.low == x.high {
		x.add(-1, 1)
	}
	s := newScale(x.low, x.high, false)
	return s.min, s.max
}
