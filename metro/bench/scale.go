// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// axis is a size of a config that the suite "scale" lets grow.
type axis struct {
	name string
	grow func(c *metro.Config, factor int)
}

var axes = []axis{
	{"length", func(c *metro.Config, f int) {
		c.Data.SeqLen *= f
		if c.Positions.Rows > 0 {
			c.Positions.Rows = max(c.Positions.Rows, c.Data.SeqLen)
		}
	}},
	{"width", func(c *metro.Config, f int) {
		for _, e := range []*metro.Encoder{&c.Main, &c.Generator} {
			e.Width, e.Heads, e.FFN = e.Width*f, e.Heads*f, e.FFN*f
		}
		c.Embeddings.Width *= f
	}},
	{"depth", func(c *metro.Config, f int) {
		c.Main.Layers, c.Generator.Layers = c.Main.Layers*f, c.Generator.Layers*f
	}},
	{"vocabulary", func(c *metro.Config, f int) { c.Data.VocabSize *= f }},
	{"batch", func(c *metro.Config, f int) { c.Training.BatchSize *= f }},
}

// Axes lists the sizes that [Scale] lets grow.
func Axes() (names []string) {
	for _, a := range axes {
		names = append(names, a.name)
	}
	return names
}

// factors are by how much each size grows.
var factors = []int{2, 4, 8}

// Scale measures training steps of base, and of what it becomes when one of its sizes is 2, 4 and 8 times as large: length of
// rows, width (with heads of equal size), depth, both of both models, vocabulary, and rows of a step. names are of [Axes]; none
// stands for all. If ctx ends, or something fails, the report holds what was measured until then.
func Scale(ctx context.Context, o Options, base Training, names ...string) (Report, error) {
	list, err := grown(base, names)
	if err != nil {
		return Report{}, err
	}
	var trainings []Training
	for _, g := range list {
		trainings = append(trainings, g.Training)
	}
	place := func(name string) int {
		return slices.IndexFunc(list, func(g grownTraining) bool { return g.Name == name })
	}
	r, err := trainAll(ctx, "scale", o, trainings, func(t Training, c Case) Case {
		g := list[place(t.Name)]
		c.Series, c.Factor = g.series, g.factor
		return c
	})
	slices.SortFunc(r.Cases, func(a, b Case) int { return place(a.Name) - place(b.Name) })
	return r, err
}

// grownTraining is a config one of whose sizes has grown.
type grownTraining struct {
	Training
	series string // "" for the base
	factor int
}

func grown(base Training, names []string) ([]grownTraining, error) {
	list := []grownTraining{{base, "", 1}}
	for _, name := range names {
		if !slices.Contains(Axes(), name) {
			return nil, usererr.New("there is no size %q that can grow; there are %s", name, strings.Join(Axes(), ", "))
		}
	}
	for _, a := range axes {
		if len(names) > 0 && !slices.Contains(names, a.name) {
			continue
		}
		for _, f := range factors {
			c := base.Config
			a.grow(&c, f)
			if err := c.Validate(); err != nil {
				return nil, fmt.Errorf("%s ×%d: %w", a.name, f, err)
			}
			list = append(list, grownTraining{Training{fmt.Sprintf("%s ×%d", a.name, f), c}, a.name, f})
		}
	}
	return list, nil
}

// Exponent is k of the rule that the time of all cores for a step, which others on the machine hardly change, grows with the k-th
// power of a size, from the last two points that were measured; false where there are none. It is below 1 where something else
// takes most of the time.
func (r Report) Exponent(series string) (k float64, known bool) {
	points := r.series(series)
	if len(points) < 2 {
		return 0, false
	}
	a, b := points[len(points)-2], points[len(points)-1]
	return math.Log(b.cost()/a.cost()) / math.Log(float64(b.Factor)/float64(a.Factor)), true
}

// cost is the time of all cores for a step or, where that is not known, the time on the wall.
func (c Case) cost() float64 {
	if len(c.Samples[StepProcessorSeconds]) > 0 {
		return c.Median(StepProcessorSeconds)
	}
	return c.Median(StepSeconds)
}

// series are the cases of one, from the base on, by their factors.
func (r Report) series(name string) (list []Case) {
	for _, c := range r.Cases {
		if len(c.Samples[StepSeconds]) > 0 && (c.Series == name || c.Series == "" && c.Factor == 1) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Case) int { return a.Factor - b.Factor })
	return list
}
