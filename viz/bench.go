// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	benchmarks "github.com/janpfeifer/go-benchmarks"

	"metrolab/viz/internal/typeset"
	"metrolab/viz/table"
)

// Timed is a function to be timed by [Bench].
type Timed struct {
	Name string
	Func func()
}

// Bench times each function for about the duration given, 10 ms or more, after five calls to warm up, and returns the
// quantiles as a picture, to show with its Table. The times also stand in the program's output. A call should take a
// microsecond or more, so put a loop around less, and the duration should hold a hundred calls.
//
// It fails where there is nothing to time, or the clock shows nothing.
func Bench(title string, each time.Duration, functions ...Timed) (Timings, error) {
	const least = 10 * time.Millisecond
	if len(functions) == 0 || each < least {
		return Timings{}, fmt.Errorf("viz: bench %q: %d functions for %v each; it takes one or more for %v or longer", title, len(functions), each, least)
	}
	t := Timings{Name: "timings", Title: title}
	var named []benchmarks.NamedFunction
	for _, f := range functions {
		if f.Func == nil {
			return Timings{}, fmt.Errorf("viz: bench %q: function %q is nil", title, f.Name)
		}
		named = append(named, benchmarks.NamedFunction{Name: typeset.Printable(f.Name), Func: f.Func})
	}
	// The library returns nothing; what it prints passes through here: mean, median and quantiles of one function, then
	// those of the next.
	var seen []time.Duration
	record := func(d time.Duration) string {
		seen = append(seen, d)
		return benchmarks.PrettyPrint(d)
	}
	benchmarks.New(named...).WithDuration(each).WithQuantiles(5, 25, 75, 95).WithPrettyPrintFn(record).Done()
	for i, row := range slices.Collect(slices.Chunk(seen, 6)) {
		mean, q := row[0], row[1:]
		slices.Sort(q) // the quantiles are estimates, one by one
		if q[0] <= 0 {
			return Timings{}, fmt.Errorf("viz: bench %q: function %q is too fast for the clock; put a loop around what it does", title, functions[i].Name)
		}
		t.Functions = append(t.Functions, Timing{Name: functions[i].Name, Mean: mean, Q5: q[0], Q25: q[1], Median: q[2], Q75: q[3], Q95: q[4]})
	}
	return t, nil
}

// Timings are the times of functions by their quantiles: a line from the 5 % to the 95 % quantile, a bar over the middle
// half, a dot at the median.
type Timings struct {
	Name      string // of the figure's file
	Title     string
	Caption   string // what to see in it; may be empty
	Note      string // below the title, such as where the numbers are from; may be empty
	Functions []Timing
}

// Timing is what one function took. Quantiles may not decrease.
type Timing struct {
	Name                            string
	Mean, Q5, Q25, Median, Q75, Q95 time.Duration
}

func (t Timing) quantiles() []time.Duration {
	return []time.Duration{t.Q5, t.Q25, t.Median, t.Q75, t.Q95}
}

// Figure draws the times, on a logarithmic axis where the functions are more than tenfold apart. It fails where there is
// none, and on quantiles that decrease or are not above 0.
func (t Timings) Figure() (Figure, error) {
	if err := t.check(); err != nil {
		return Figure{}, err
	}
	d := newTimingsDrawing(t)
	p := newPage(d.height)
	d.draw(p)
	return p.figure(t.Name, t.Title, t.Caption, t.data())
}

func (t Timings) check() error {
	if err := checkName(t.Name); err != nil {
		return err
	}
	if len(t.Functions) == 0 {
		return fmt.Errorf("viz: timings %q: nothing to draw: no functions", t.Name)
	}
	for _, f := range t.Functions {
		if q := f.quantiles(); q[0] <= 0 || !slices.IsSorted(q) {
			return fmt.Errorf("viz: timings %q: function %q has the quantiles %v; they must be above 0 and may not decrease", t.Name, f.Name, q)
		}
	}
	return nil
}

func (t Timings) data() string {
	var parts []string
	for _, f := range t.Functions {
		parts = append(parts, fmt.Sprintf("%s %s [%s, %s]", typeset.Printable(f.Name), spell(f.Median), spell(f.Q5), spell(f.Q95)))
	}
	return "Median time a call with 5 % and 95 % quantiles: " + strings.Join(parts, "; ") + "."
}

// Table is the times as a table.
func (t Timings) Table() table.Table {
	out := table.Table{Columns: []table.Column{{Name: "function"}, {Name: "median", Align: table.Right}, {Name: "5 %", Align: table.Right}, {Name: "25 %", Align: table.Right},
		{Name: "75 %", Align: table.Right}, {Name: "95 %", Align: table.Right}, {Name: "mean", Align: table.Right}}}
	for _, f := range t.Functions {
		out.Rows = append(out.Rows, []any{f.Name, spell(f.Median), spell(f.Q5), spell(f.Q25), spell(f.Q75), spell(f.Q95), spell(f.Mean)})
	}
	return out
}

// timeUnits from the smallest, in nanoseconds.
var timeUnits = []struct {
	size float64
	name string
}{{1, "ns"}, {1e3, "\u00b5s"}, {1e6, "ms"}, {1e9, "s"}}

// spell writes a time with three digits.
func spell(d time.Duration) string {
	unit := unitOf(float64(d))
	v := float64(d) / timeUnits[unit].size
	return typeset.Fixed(v, min(2, typeset.Decimals(v))) + " " + timeUnits[unit].name
}

// unitOf is the largest unit that is not larger than so many nanoseconds.
func unitOf(ns float64) int {
	for i := len(timeUnits) - 1; i > 0; i-- {
		if math.Abs(ns) >= timeUnits[i].size {
			return i
		}
	}
	return 0
}
