// SPDX-License-Identifier: Apache-2.0

package minimalpairs

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"metrolab/internal/randstream"
)

// Estimate is a share with the ends of its 95 % interval.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Accuracy is the share of pairs that a scorer is right about: ties counted as right, as half, and as wrong. Who guesses is at
// one half by the second alone.
type Accuracy struct {
	Right Estimate `json:"ties_right"`
	Half  Estimate `json:"ties_half"`
	Wrong Estimate `json:"ties_wrong"`
}

// Levels of groups.
const (
	LevelParadigm = "paradigm"
	LevelTerm     = "term"
	LevelField    = "field"
	LevelAll      = "all"
)

// Group is the accuracy over the paradigms of a term, a field or all, each counting the same, or over the pairs of one.
//
// Intervals are by the bootstrap: of 1,000 times, the middle 95 % of what comes out when as many paradigms and as many models as
// there are are drawn anew, with replacement. A group of one paradigm draws pairs in the place of paradigms. Intervals of a
// handful of paradigms, or of two models, are narrower than they should be.
type Group struct {
	Level     string    `json:"level"`
	Name      string    `json:"name"`
	Paradigms int       `json:"paradigms"`
	Pairs     int       `json:"pairs"`
	Ties      float64   `json:"ties"` // share of the pairs, weighed as in the accuracy
	Accuracy  Accuracy  `json:"accuracy"`
	Models    []float64 `json:"models,omitempty"` // each model's accuracy, ties half, where there are several
	// Above is how much more than a reference's this accuracy is, ties half, both on the same paradigms.
	Above *Estimate `json:"above,omitempty"`
}

// Aggregate returns the groups of a set: all, its fields, its terms, its paradigms. The outcomes are those of one scorer with
// each of several models, a model's own run to its seed. The outcomes of a reference, nil for none, are those that
// [Group.Above] compares with.
func Aggregate(set *Set, models []Outcomes, reference Outcomes) (groups []Group) {
	half := units{}
	ties := units{}
	for _, outcomes := range models {
		h, t := make([]float64, len(outcomes)), make([]float64, len(outcomes))
		for p, of := range outcomes {
			h[p], t[p] = shares(of)
		}
		half, ties = append(half, h), append(ties, t)
	}
	for _, part := range partsOf(set) {
		g := Group{Level: part.level, Name: part.name, Paradigms: len(part.paradigms)}
		for _, p := range part.paradigms {
			g.Pairs += len(set.Paradigms[p].Pairs)
		}
		h, t, above := half.of(part.paradigms), ties.of(part.paradigms), units(nil)
		if len(models) > 1 {
			for _, of := range h {
				g.Models = append(g.Models, mean(of))
			}
		}
		one := part.paradigms[0]
		if len(part.paradigms) == 1 { // its pairs are what is drawn
			h, t = nil, nil
			for _, outcomes := range models {
				h, t = append(h, credits(outcomes[one])), append(t, tied(outcomes[one]))
			}
		}
		if reference != nil && len(part.paradigms) == 1 {
			above = h.minus(credits(reference[one]))
		} else if reference != nil {
			var by []float64
			for _, p := range part.paradigms {
				share, _ := shares(reference[p])
				by = append(by, share)
			}
			above = h.minus(by)
		}
		g.Ties = t.mean()
		g.Accuracy, g.Above = bootstrap(h, t, above, randstream.New(0, "minimal pairs/"+part.level+"/"+part.name))
		groups = append(groups, g)
	}
	return groups
}

// part is some of a set's paradigms, by their places in it.
type part struct {
	level, name string
	paradigms   []int
}

// partsOf lists the groups, those of a level in the order of their names. A level of which a set knows nothing has none.
func partsOf(set *Set) []part {
	list := []part{{level: LevelAll, name: LevelAll}}
	for i := range set.Paradigms {
		list[0].paradigms = append(list[0].paradigms, i)
	}
	for _, level := range []struct {
		name string
		of   func(Paradigm) string
	}{
		{LevelField, func(p Paradigm) string { return p.Field }}, {LevelTerm, func(p Paradigm) string { return p.Term }},
		{LevelParadigm, func(p Paradigm) string { return p.Name }},
	} {
		at := map[string]int{}
		first := len(list)
		for i, p := range set.Paradigms {
			name := level.of(p)
			if name == "" {
				continue
			}
			if _, ok := at[name]; !ok {
				at[name] = len(list)
				list = append(list, part{level: level.name, name: name})
			}
			list[at[name]].paradigms = append(list[at[name]].paradigms, i)
		}
		slices.SortFunc(list[first:], func(a, b part) int { return cmp.Compare(a.name, b.name) })
	}
	return list
}

// credit is what an outcome counts, ties half.
func credit(o Outcome) float64 { return float64(o+1) / 2 }

// shares are the mean credit of outcomes, and the share of ties.
func shares(of []Outcome) (half, ties float64) { return mean(credits(of)), mean(tied(of)) }

func credits(of []Outcome) (list []float64) {
	for _, o := range of {
		list = append(list, credit(o))
	}
	return list
}

func tied(of []Outcome) (list []float64) {
	for _, o := range of {
		list = append(list, 1-float64(o*o))
	}
	return list
}

func mean(list []float64) (sum float64) {
	for _, x := range list {
		sum += x
	}
	return sum / float64(len(list))
}

// units are a number of each paradigm, or of each pair, by model.
type units [][]float64

// of picks units by their places.
func (u units) of(places []int) (some units) {
	for _, all := range u {
		list := make([]float64, len(places))
		for i, place := range places {
			list[i] = all[place]
		}
		some = append(some, list)
	}
	return some
}

// minus subtracts the same from each model's.
func (u units) minus(by []float64) (differences units) {
	for _, all := range u {
		list := make([]float64, len(all))
		for i := range all {
			list[i] = all[i] - by[i]
		}
		differences = append(differences, list)
	}
	return differences
}

func (u units) mean() (sum float64) {
	for _, of := range u {
		sum += mean(of)
	}
	return sum / float64(len(u))
}

// overModels is the mean of each unit over models drawn, of which the same may come more than once.
func (u units) overModels(drawn []int) []float64 {
	list := make([]float64, len(u[0]))
	for _, m := range drawn {
		for i, x := range u[m] {
			list[i] += x / float64(len(drawn))
		}
	}
	return list
}

// resamples is how often is drawn anew.
const resamples = 1000

// bootstrap draws units and models anew: of the credits with ties half, of the share of ties, which lies half of it to each
// side, and of the differences to a reference, nil for none.
func bootstrap(half, ties, above units, random *rand.Rand) (Accuracy, *Estimate) {
	var right, middle, wrong, more []float64
	models, n := make([]int, len(half)), len(half[0])
	for range resamples {
		for i := range models {
			models[i] = random.IntN(len(models))
		}
		h, t, a := half.overModels(models), ties.overModels(models), []float64(nil)
		if above != nil {
			a = above.overModels(models)
		}
		var sumH, sumT, sumA float64
		for range n {
			i := random.IntN(n)
			sumH, sumT = sumH+h[i], sumT+t[i]
			if a != nil {
				sumA += a[i]
			}
		}
		count := float64(n)
		right, middle, wrong, more = append(right, (sumH+sumT/2)/count), append(middle, sumH/count), append(wrong, (sumH-sumT/2)/count), append(more, sumA/count)
	}
	h, t := half.mean(), ties.mean()
	accuracy := Accuracy{Right: estimate(h+t/2, right), Half: estimate(h, middle), Wrong: estimate(h-t/2, wrong)}
	if above == nil {
		return accuracy, nil
	}
	e := estimate(above.mean(), more)
	return accuracy, &e
}

// estimate is a value with the middle 95 % of what it was with other draws.
func estimate(value float64, drawn []float64) Estimate {
	slices.Sort(drawn)
	tail := len(drawn) / 40 // 2.5 %
	return Estimate{value, drawn[tail], drawn[len(drawn)-1-tail]}
}
