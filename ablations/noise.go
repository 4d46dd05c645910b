// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz/table"
)

// Noise is what studies of equal arms, A/A studies, say of one outcome: how far apart it is where nothing was changed.
type Noise struct {
	Outcome string
	Pairs   int     // complete ones
	Mean    float64 // of the outcome, over both sides
	SD      float64 // of the paired differences (n−1)
	Low     float64 // 95 % interval of σ by χ², as if differences were normal
	High    float64
	Minutes float64 // of the processor that a pair of runs took, wall time where the processor's is not known; NaN where neither is
	Wall    bool    // Minutes are wall time

	learned     float64   // Mean above guessing; NaN where that is not known, or next to nothing
	differences []float64 // the paired ones, study by study, by ascending seeds
}

// Sizes are the differences that [Noise.Table] prints the pairs for.
var Sizes = []float64{0.01, 0.02, 0.05}

// PairsFor is the number of pairs with which a study of one arm decides on a true difference of that size with the chance
// [Power], SD being an estimate; MaxSeeds+1 for more than MaxSeeds, and 0 where SD is 0 or not known.
func (n Noise) PairsFor(size float64) int {
	if n.Pairs < 2 || !(n.SD > 0) || !(size > 0) {
		return 0
	}
	spread := newSpread(n.Pairs)
	for pairs := 2; pairs <= MaxSeeds; pairs++ {
		if spread.power(pairs, size/n.SD, Alpha) >= Power {
			return pairs
		}
	}
	return MaxSeeds + 1
}

// Relative is σ in parts of what the runs have learned above guessing: what outcomes of unlike scales are compared by. NaN for
// one without a level of guessing, or that is still there.
func (n Noise) Relative() float64 { return n.SD / n.learned }

// PowerPerMinute is 1/((σ/learned)²·minutes): the information on an effect that is a part of what was learned, a minute of the
// processor. The pairs that decide on it are in inverse proportion to it. NaN where it is not known.
func (n Noise) PowerPerMinute() float64 {
	relative := n.Relative()
	return 1 / (relative * relative * n.Minutes)
}

// NoiseOf measures outcomes on A/A studies of one recipe, whose pairs are taken together; all [NamedOutcomes] and what else the
// runs have measured on frozen sets if none are named. Nothing is trained. The quietest by [Noise.PowerPerMinute] comes first.
// A study with more than one change, or none, is the user's error: it compares something.
func NoiseOf(studies []Results, outcomes ...string) ([]Noise, error) {
	if len(studies) == 0 {
		return nil, usererr.New("noise: there is no A/A study to measure it on")
	}
	for _, r := range studies {
		if len(r.Arms) != 2 || r.Study.Recipe != studies[0].Study.Recipe {
			return nil, usererr.New("noise: study %s of the recipe %s has %d changes: noise is measured on studies of one recipe against itself, with one change that changes nothing but roundings, such as training.accumulate=2",
				r.Study.Name, r.Study.Recipe, len(r.Arms)-1)
		}
	}
	named := len(outcomes) > 0
	if !named {
		outcomes = measurable(studies)
	}
	var list []Noise
	for _, name := range outcomes {
		n, err := noiseOf(studies, name)
		if err != nil {
			return nil, err
		}
		if named || n.Pairs > 0 {
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		return nil, usererr.New("noise: no pair of runs of study %s has ended yet", studies[0].Study.Name)
	}
	order := func(n Noise) float64 {
		if v := n.PowerPerMinute(); finite(v) {
			return -v
		}
		return math.Inf(1)
	}
	slices.SortStableFunc(list, func(a, b Noise) int { return cmp.Compare(order(a), order(b)) })
	return list, nil
}

// measurable are the named outcomes of all metrics of frozen sets that the runs have recorded.
func measurable(studies []Results) (names []string) {
	found := map[string]bool{}
	for _, r := range studies {
		for _, run := range r.Runs {
			for key := range run.Result.Metrics {
				if set := heldOutOf(key); set != "" && set != training.Validation && baseMetric(key) == key {
					found[key] = true
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		names = append(names, key, "last2:"+key, "last3:"+key)
	}
	return names
}

// noiseOf measures one outcome.
func noiseOf(studies []Results, name string) (Noise, error) {
	if _, err := readingOf(name); err != nil {
		return Noise{}, err
	}
	n := Noise{Outcome: name}
	var diff, values, minutes []float64
	for _, r := range studies {
		r.Study.Outcome = OutcomeOf(name)
		r = r.Reload()
		if len(r.Problems) > 0 {
			return n, usererr.New("study %s: %s", r.Study.Name, strings.Join(r.Problems, "; "))
		}
		base, arm := r.outcomes(BaselineName, nil), r.outcomes(r.Arms[1].Name, nil)
		for _, seed := range sortedSeeds(arm) {
			a, b := arm.BySeed[seed], base.BySeed[seed]
			if _, ok := base.BySeed[seed]; !ok || !finite(a) || !finite(b) {
				continue
			}
			diff, values = append(diff, a-b), append(values, a, b)
			taken, wall := r.minutes(seed)
			minutes, n.Wall = append(minutes, taken), n.Wall || wall
		}
	}
	n.Pairs, n.differences = len(diff), diff
	n.Mean, n.Minutes = stat.Mean(values, nil), stat.Mean(minutes, nil)
	n.SD, n.Low, n.High, n.learned = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	const least = 0.05 // above guessing; runs below it have learned nothing that a change could take from them
	if chance := describe(name).Chance; chance != 0 && n.Mean-chance >= least {
		n.learned = n.Mean - chance
	}
	if n.Pairs > 1 {
		n.SD = stat.StdDev(diff, nil)
		nu := float64(n.Pairs - 1)
		chi2 := distuv.ChiSquared{K: nu}
		n.Low, n.High = n.SD*math.Sqrt(nu/chi2.Quantile(1-Alpha/2)), n.SD*math.Sqrt(nu/chi2.Quantile(Alpha/2))
	}
	return n, nil
}

// minutes is what the pair of runs at a seed took of the processor, or wall time where that was not measured.
func (r Results) minutes(seed int64) (taken float64, wall bool) {
	a, b := r.at(BaselineName, seed).Result, r.at(r.Arms[1].Name, seed).Result
	if a.ProcessorSeconds > 0 && b.ProcessorSeconds > 0 {
		return (a.ProcessorSeconds - a.ProcessorBefore + b.ProcessorSeconds - b.ProcessorBefore) / 60, false
	}
	return (a.Seconds - a.Before + b.Seconds - b.Before) / 60, true
}

// NoiseTable is one row an outcome, in their order: its mean, σ of the paired differences with its 95 % interval, the pairs that
// decide on a true difference of each of [Sizes] with the chance [Power], σ in parts of what was learned, and the power a minute
// in parts of the first row's.
func NoiseTable(list []Noise) table.Table {
	t := table.Table{Columns: []table.Column{
		{Name: "outcome"}, {Name: "mean", Align: table.Right, Format: "%.3f"}, {Name: "σ", Align: table.Right, Format: "%.4f"}, {Name: "95 % CI of σ", Align: table.Right},
	}}
	for _, size := range Sizes {
		t.Columns = append(t.Columns, table.Column{Name: fmt.Sprintf("n for %g", size), Align: table.Right})
	}
	clock := "processor min a pair"
	if slices.ContainsFunc(list, func(n Noise) bool { return n.Wall }) {
		clock = "min a pair"
	}
	t.Columns = append(t.Columns, table.Column{Name: clock, Align: table.Right, Format: "%.2f"},
		table.Column{Name: "σ/learned", Align: table.Right, Format: "%.3f"}, table.Column{Name: "power a minute", Align: table.Right, Format: "%.2f"})
	for _, n := range list {
		row := []any{n.Outcome, n.Mean, n.SD, nil}
		if finite(n.Low) {
			row[3] = fmt.Sprintf("[%.4f, %.4f]", n.Low, n.High)
		}
		for _, size := range Sizes {
			row = append(row, pairsCell(n.PairsFor(size)))
		}
		t.Rows = append(t.Rows, append(row, n.Minutes, n.Relative(), n.PowerPerMinute()/list[0].PowerPerMinute()))
	}
	return t
}

func pairsCell(pairs int) any {
	switch {
	case pairs == 0:
		return nil
	case pairs > MaxSeeds:
		return fmt.Sprintf("> %d", MaxSeeds)
	}
	return pairs
}

// FloorsOf is what [Floors] keeps of an A/A study: a floor an outcome, with where it comes from.
func (r Results) FloorsOf(list []Noise, command string) ([]Floor, error) {
	dir, err := r.Store.Open(r.Runs[0].ID)
	if err != nil {
		return nil, err
	}
	var p runs.Provenance
	if err := runs.ReadJSON(dir.Path(runs.ProvenanceFile), &p); err != nil {
		return nil, err
	}
	var floors []Floor
	for _, n := range list {
		if n.Pairs != len(r.Study.Seeds) {
			return nil, usererr.New("%s: %s has %d of %d pairs", r.Study.Name, n.Outcome, n.Pairs, len(r.Study.Seeds))
		}
		floors = append(floors, Floor{
			Recipe: r.Study.Recipe, Metric: n.Outcome, Steps: r.Study.Baseline.Training.Steps, SD: n.SD, Differences: n.differences,
			Seeds: slices.Sorted(slices.Values(r.Study.Seeds)), Change: r.Study.Changes[0].Set, Command: command, Commit: p.Source.Commit,
			Machine: fmt.Sprintf("%s, %d cores", p.CPU, p.Cores),
			Backend: strings.TrimSpace(p.Backend.Name + " " + p.Backend.Version), Date: p.Started.UTC().Format(time.DateOnly),
		})
	}
	return floors, nil
}
