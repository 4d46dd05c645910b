// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"math"
	"math/rand/v2"
)

// All numbers in this file are made up.

// demoSeries is an arm whose seeds rise to about the given height.
func demoSeries(name string, seeds int, height float64) Series {
	s := Series{Name: name}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(uint64(seed), uint64(len(name))))
		top, start := height+0.03*rng.NormFloat64(), 300+200*rng.Float64()
		var line Line
		for step := 0.0; step <= 1800; step += 60 {
			line.X = append(line.X, step)
			line.Y = append(line.Y, 0.5+(top-0.5)/(1+math.Exp((start+250-step)/200))+0.006*rng.NormFloat64())
		}
		s.Runs = append(s.Runs, line)
	}
	return s
}

func demoCurves(names ...string) Curves {
	c := Curves{Name: "outcome", Title: "RTD AUC on the frozen held-out set (made-up numbers)",
		X: Axis{Label: "training step"}, Y: Axis{Label: "RTD AUC, higher is better"}}
	for i, name := range names {
		c.Series = append(c.Series, demoSeries(name, 3, 0.8-0.04*float64(i)))
	}
	return c
}

// diverge makes the run NaN from point i on.
func diverge(l Line, i int) {
	for ; i < len(l.Y); i++ {
		l.Y[i] = math.NaN()
	}
}

var longNames = []string{"METRO baseline", "no relative position bias", "RTD weight 10 instead of 50",
	"generator of half the depth and a quarter of the width, frozen after 300 steps", "no CLM",
	"model.generator.temperature=0.7,model.masking.rate=0.25", "whole-word masking", "dropout 0.1 in the generator as well"}

// demoEffects are arms with every kind of verdict.
func demoEffects(n int) []Effect {
	nan := math.NaN()
	effects := []Effect{
		{Name: longNames[1], Pairs: 3, Mean: 0.513, Diff: -0.2563, Low: -0.339, High: -0.173, P: 0.0056, HolmP: 0.017, Verdict: Worse},
		{Name: longNames[2], Pairs: 3, Mean: 0.774, Diff: 0.0047, Low: -0.0195, High: 0.0288, P: 0.493, HolmP: 0.986, Verdict: Undecided,
			Note: "3 pairs could tell a difference of 0.045; one of this size needs about 44 seeds"},
		{Name: longNames[3], Pairs: 3, Mean: 0.823, Diff: 0.053, Low: 0.031, High: 0.075, P: 0.0009, HolmP: 0.0036, Verdict: Better},
		{Name: longNames[4], Pairs: 1, Mean: 0.74, Diff: -0.03, Low: nan, High: nan, P: nan, HolmP: nan, Verdict: Undecided, Note: "one pair gives no interval"},
		{Name: longNames[5], Pairs: 2, Mean: 0.751, Diff: -0.02, Low: -0.19, High: 0.15, P: 0.374, HolmP: 0.9, Verdict: Undecided,
			Note: "failed at seed 2; 2 pairs could tell a difference of 0.78; one of this size needs more than 100 seeds"},
		{Name: longNames[6], Pairs: 0, Mean: nan, Diff: nan, Low: nan, High: nan, P: nan, HolmP: nan, Verdict: Undecided, Note: "no seed has a finite outcome on both sides"},
		{Name: longNames[7], Pairs: 3, Mean: 0.766, Diff: -0.004, Low: -0.0041, High: -0.0039, P: 0.00001, HolmP: 0.00007, Verdict: Worse},
	}
	return effects[:n]
}

func demoBars() Bars {
	nan := math.NaN()
	return Bars{Name: "probe", Title: "Probe on package families (made-up numbers)", Label: "balanced accuracy",
		Groups: []string{"METRO baseline", "no relative position bias", "generator of half the depth", "model.generator.temperature=0.7"},
		Series: []BarSeries{
			{"fine-tuned", []float64{0.61, 0.52, 0.63, nan}, []float64{0.57, 0.44, 0.60, nan}, []float64{0.65, 0.60, 0.66, nan}},
			{"bag of words", []float64{0.55, 0.55, 0.55, 0.55}, nil, nil},
			{"majority class", []float64{0.125, 0.125, 0.125, 0.125}, nil, nil},
		}}
}
