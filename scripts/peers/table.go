// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"metrolab/viz/table"
)

// spread is the median of some numbers, and the least and the greatest.
type spread struct{ Median, Min, Max float64 }

// spreadOf is NaN over nothing.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return spread{median, sorted[0], sorted[len(sorted)-1]}
}

// String is "1.26 (1.20–1.31)", and a dash where there is nothing.
func (s spread) String() string {
	if math.IsNaN(s.Median) {
		return "–"
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

func wall(c cost) float64      { return c.Wall }
func processor(c cost) float64 { return c.Processor }

// faster is how many times as fast metrolab is as the peer that followed it, by the given time: the spread over pairs of the
// peer's time over metrolab's.
func (c comparison) faster(time func(cost) float64) spread {
	var ratios []float64
	for _, p := range c.Pairs {
		ratios = append(ratios, time(p.Peer)/time(p.Metrolab))
	}
	return spreadOf(ratios)
}

// speed is the median of the tokens a second of one of the two.
func (c comparison) speed(of func(pair) cost, time func(cost) float64) float64 {
	var speeds []float64
	for _, p := range c.Pairs {
		speeds = append(speeds, float64(c.Tokens)/time(of(p)))
	}
	return spreadOf(speeds).Median
}

func metrolabs(p pair) cost { return p.Metrolab }
func theirs(p pair) cost    { return p.Peer }

// memory is how many times the peer's memory metrolab has had.
func (c comparison) memory() float64 { return float64(c.Memory.Metrolab) / float64(c.Memory.Peer) }

// ratios is the table of one shape.
func ratios(list []comparison) table.Table {
	number := func(name, format string) table.Column {
		return table.Column{Name: name, Align: table.Right, Format: format}
	}
	t := table.Table{Columns: []table.Column{
		{Name: "beside metrolab"}, number("tokens/s", "%.0f"), number("a processor second", "%.0f"), number("metrolab's", "%.0f"),
		number("metrolab ÷ it, a processor second", ""), number("by the clock", ""), number("peak memory, MB", "%.0f"),
		number("metrolab's ÷ its", "%.2f"), number("load", ""),
	}}
	for _, c := range list {
		if c.Failure != "" {
			t.Rows = append(t.Rows, []any{c.Name, nil, nil, nil, "did not run", nil, nil, nil, nil})
			continue
		}
		var loads []float64
		for _, p := range c.Pairs {
			loads = append(loads, p.Load)
		}
		l := spreadOf(loads)
		t.Rows = append(t.Rows, []any{
			c.Name, c.speed(theirs, wall), c.speed(theirs, processor), c.speed(metrolabs, processor), c.faster(processor).String(),
			c.faster(wall).String(), float64(c.Memory.Peer) / 1e6, c.memory(), fmt.Sprintf("%.0f–%.0f", l.Min, l.Max),
		})
	}
	return t
}

// sameMaths is the table of what shows that peers at one shape compute the same: numbers of weights, operations, first losses.
func sameMaths(list []comparison) table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "peer"}, {Name: "weights", Align: table.Right}, {Name: "GFLOP a step", Align: table.Right, Format: "%.2f"},
		{Name: "first loss", Align: table.Right}, {Name: "second", Align: table.Right}, {Name: "last", Align: table.Right}, {Name: "version"},
	}}
	row := func(name string, a about, last any) []any {
		operations := any(nil)
		if a.FLOPs > 0 {
			operations = a.FLOPs / 1e9
		}
		return []any{name, a.Parameters, operations, parts(a.Losses[0]), parts(a.Losses[len(a.Losses)-1]), last, a.Version}
	}
	for _, c := range list {
		if c.Failure != "" {
			continue
		}
		if len(t.Rows) == 0 {
			t.Rows = append(t.Rows, row("metrolab", c.Mine, nil))
		}
		t.Rows = append(t.Rows, row(c.Name, c.Theirs, parts(c.Last)))
	}
	return t
}

// parts are the losses of a step in their parts, "generator 10.32620, rtd 0.69315", or what else shows what was computed.
func parts(losses map[string]float64) string {
	var list []string
	add := func(format string, names ...string) {
		for _, name := range names {
			if x, ok := losses[name]; ok {
				list = append(list, fmt.Sprintf(format, name, x))
			}
		}
	}
	add("%s %.5f", "generator", "rtd", "clm")
	add("%s %.0f", "tokens", "crc32")
	return strings.Join(list, ", ")
}

// target is what metrolab ought to reach beside peers at a shape: as fast as the best of them, times atLeast.
type target struct {
	shape   string
	peers   []string
	about   string
	atLeast float64
}

var targets = []target{
	{"electra-small", []string{"jax"}, "JAX as one would write it first", 1.4},
	{"electra-small", []string{"jax-tricks", "jax-scan"}, "JAX with the same tricks", 1.15},
	{"electra-small", []string{"hf"}, "Hugging Face as shipped", 2},
	{"metro-base", []string{"torch", "torch-compile"}, "PyTorch's best", 0.7},
	{prepareName, []string{"datasets"}, "Hugging Face's datasets and tokenizers", 1.3},
}

// mostMemory is the most that metrolab ought to have at its peak, as a multiple of JAX's.
const mostMemory = 1.2

// verdicts says of each target whose peers were measured whether it is met, by processor seconds and by the clock.
func verdicts(all []comparison) (lines []string) {
	for _, t := range targets {
		best, found := comparison{}, false
		for _, c := range all {
			if c.Shape != t.shape || c.Failure != "" || !slices.Contains(t.peers, c.Name) {
				continue
			}
			if !found || c.faster(processor).Median < best.faster(processor).Median {
				best, found = c, true
			}
		}
		if !found {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: at least %.2f × %s (%s): %s, %.2f a processor second, %.2f by the clock",
			t.shape, t.atLeast, t.about, best.Name, met(best.faster(processor).Median >= t.atLeast),
			best.faster(processor).Median, best.faster(wall).Median))
	}
	for _, s := range shapes {
		least := math.Inf(1)
		for _, c := range all {
			if c.Shape == s.name && c.Failure == "" && strings.HasPrefix(c.Name, "jax") {
				least = min(least, c.memory())
			}
		}
		if !math.IsInf(least, 1) {
			most := mostOf(all, s.name)
			lines = append(lines, fmt.Sprintf("%s: peak memory at most %.2f × JAX's: %s, %.2f to %.2f", s.name, mostMemory, met(most <= mostMemory), least, most))
		}
	}
	return lines
}

// mostOf is the greatest multiple of a JAX peer's memory at a shape.
func mostOf(all []comparison, shape string) (most float64) {
	for _, c := range all {
		if c.Shape == shape && c.Failure == "" && strings.HasPrefix(c.Name, "jax") {
			most = max(most, c.memory())
		}
	}
	return most
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "not met"
}
