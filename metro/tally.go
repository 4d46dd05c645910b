// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// Tally holds what one or several passes counted. The metrics are ratios of sums, so tallies add up exactly.
type Tally struct {
	Tokens float64   `json:"tokens"` // real tokens
	Names  []string  `json:"names"`  // of the metrics
	Sums   []float64 `json:"sums"`
	Counts []float64 `json:"counts"`
}

// Tally builds the vector that [ReadTally] reads, and the names of the metrics in it.
func (p *Pass) Tally() (vector *Node, names []string) {
	fields := []*Node{p.count(p.NonPad)}
	for _, m := range p.measures() {
		names = append(names, m.name)
		fields = append(fields, p.number(m.sum), p.number(m.count))
	}
	return Stack(fields, 0), names
}

// ReadTally turns the vector of [Pass.Tally] into a Tally. It panics if their lengths do not fit.
func ReadTally[F float32 | float64](vector []F, names []string) Tally {
	if len(vector) != 1+2*len(names) {
		panic(fmt.Sprintf("metro: a tally of %d numbers for %d names", len(vector), len(names)))
	}
	t := Tally{Tokens: float64(vector[0]), Names: names}
	for i := range names {
		t.Sums = append(t.Sums, float64(vector[1+2*i]))
		t.Counts = append(t.Counts, float64(vector[2+2*i]))
	}
	return t
}

// Add returns the sum of both, which must be of the same metrics; the zero Tally is of all.
func (t Tally) Add(u Tally) Tally {
	switch {
	case t.Names == nil:
		return u
	case u.Names == nil:
		return t
	case !slices.Equal(t.Names, u.Names):
		panic(fmt.Sprintf("metro: tallies of different metrics: %v and %v", t.Names, u.Names))
	}
	sum := func(a, b []float64) []float64 {
		c := slices.Clone(a)
		for i, x := range b {
			c[i] += x
		}
		return c
	}
	return Tally{t.Tokens + u.Tokens, t.Names, sum(t.Sums, u.Sums), sum(t.Counts, u.Counts)}
}

// Metric returns one metric; NaN over nothing, and if there is no such metric.
func (t Tally) Metric(name string) float64 {
	i := slices.Index(t.Names, name)
	if i < 0 || t.Counts[i] == 0 {
		return math.NaN()
	}
	return t.Sums[i] / t.Counts[i]
}

// Metrics returns the numbers that are written down, by name. A rate over nothing is NaN.
func (t Tally) Metrics() map[string]float64 {
	values := make(map[string]float64, len(t.Names))
	for _, name := range t.Names {
		values[name] = t.Metric(name)
	}
	return values
}
