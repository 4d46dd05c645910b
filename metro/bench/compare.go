// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"

	"metrolab/internal/usererr"
	"metrolab/viz/table"
)

// Median is that of a metric of the case; NaN if it was not measured.
func (c Case) Median(key string) float64 { return summarize(c.Samples[key]).Center }

// Spread is a range around the median of a metric: its interval of 95 %, or, of fewer than six repetitions, from the least to
// the greatest.
func (c Case) Spread(key string) (low, high float64) {
	s := summarize(c.Samples[key])
	return s.Lo, s.Hi
}

func summarize(values []float64) benchmath.Summary {
	if len(values) == 0 {
		return benchmath.Summary{Center: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	}
	s := benchmath.AssumeNothing.Summary(sample(values), 0.95)
	if math.IsInf(s.Lo, 0) || math.IsInf(s.Hi, 0) {
		s.Lo, s.Hi = slices.Min(values), slices.Max(values)
	}
	return s
}

func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

// withSpread writes a median with its spread, as benchstat does.
func (c Case) withSpread(key string) any {
	values := c.Samples[key]
	if len(values) == 0 {
		return nil
	}
	s := summarize(values)
	text := metric(key).Format(s.Center)
	if len(values) > 1 && s.Center > 0 && !strings.HasSuffix(text, "%") {
		text += " ± " + s.PctRangeString()
	}
	return text
}

// Pool puts the repetitions of reports together that were measured by the same program, between runs of another one: A B A B …
// The first says where. It is the user's error if their suites differ.
func Pool(reports ...Report) (Report, error) {
	all := reports[0]
	all.Cases = slices.Clone(all.Cases)
	for i, c := range all.Cases {
		all.Cases[i].Samples = map[string][]float64{}
		for key, values := range c.Samples {
			all.Cases[i].Samples[key] = slices.Clone(values)
		}
	}
	all.Load = slices.Clone(all.Load)
	for _, r := range reports[1:] {
		if r.Suite != all.Suite {
			return Report{}, usererr.New("a report of the suite %q and one of the suite %q cannot be put together", all.Suite, r.Suite)
		}
		all.Load = append(all.Load, r.Load...)
		for _, c := range r.Cases {
			i := slices.IndexFunc(all.Cases, func(o Case) bool { return o.Name == c.Name })
			if i < 0 {
				all.Cases = append(all.Cases, c)
				continue
			}
			for key, values := range c.Samples {
				for _, v := range values {
					all.Cases[i].add(key, v)
				}
			}
		}
	}
	return all, nil
}

// Comparison is one metric of two reports.
type Comparison struct {
	Metric Metric
	Table  table.Table // a row a case, and the geometric mean of the ratios
}

// Compare sets a report beside an older one, as benchstat does: for each metric the medians with their spreads, the ratio of new
// to old, and the probability that two sets of repetitions of one thing would lie as far apart (Mann–Whitney U test), or ~ in
// the place of a ratio that is not significant at 5 %. Both must be of one suite, and have a case in common, of the same sizes.
func Compare(older, newer Report) ([]Comparison, error) {
	if older.Suite != newer.Suite {
		return nil, usererr.New("a report of the suite %q cannot be compared with one of the suite %q", older.Suite, newer.Suite)
	}
	var pairs [][2]Case
	for _, c := range newer.Cases {
		o, found := older.Case(c.Name)
		if !found {
			continue
		}
		if o.Rows != c.Rows || o.Length != c.Length || o.Vocab != c.Vocab {
			return nil, usererr.New("%s was measured with %s, and now with %s: that cannot be compared", c.Name, o.sizes(), c.sizes())
		}
		pairs = append(pairs, [2]Case{o, c})
	}
	if len(pairs) == 0 {
		return nil, usererr.New("the two reports have no case in common")
	}
	var list []Comparison
	for _, m := range metrics {
		if t := compareMetric(m, pairs); len(t.Rows) > 0 {
			list = append(list, Comparison{m, t})
		}
	}
	return list, nil
}

func (c Case) sizes() string {
	return fmt.Sprintf("%d rows of %d tokens and a vocabulary of %d", c.Rows, c.Length, c.Vocab)
}

func compareMetric(m Metric, pairs [][2]Case) table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: m.Label}, {Name: "old", Align: table.Right}, {Name: "new", Align: table.Right}, {Name: "new/old", Align: table.Right}, {Name: "p"},
	}}
	sum, n := 0.0, 0
	for _, pair := range pairs {
		older, newer := pair[0].Samples[m.Key], pair[1].Samples[m.Key]
		if len(older) == 0 || len(newer) == 0 {
			continue
		}
		before, after := pair[0].Median(m.Key), pair[1].Median(m.Key)
		test := benchmath.AssumeNothing.Compare(sample(older), sample(newer))
		ratio := "~"
		if test.P < test.Alpha && before > 0 {
			ratio = fmt.Sprintf("%.2f ×", after/before)
		}
		t.Rows = append(t.Rows, []any{pair[1].Name, pair[0].withSpread(m.Key), pair[1].withSpread(m.Key), ratio, test.String()})
		if before > 0 && after > 0 {
			sum, n = sum+math.Log(after/before), n+1
		}
	}
	if n > 1 {
		t.Rows = append(t.Rows, []any{"geometric mean", nil, nil, fmt.Sprintf("%.2f ×", math.Exp(sum/float64(n))), nil})
	}
	return t
}
