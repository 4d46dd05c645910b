// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// matrix is made of rows × columns values.
func matrix(rows, columns int, value func(r, c int) float64) [][]float64 {
	m := make([][]float64, rows)
	for r := range m {
		for c := range columns {
			m[r] = append(m[r], value(r, c))
		}
	}
	return m
}

func demoBias(heads, buckets int) [][]float64 {
	return matrix(heads, buckets, func(h, b int) float64 {
		d := float64(b - buckets/2 - 3*h + 4)
		return (1 - 0.8*float64(h%3)) * math.Exp(-math.Abs(d)/4)
	})
}

func demoBuckets(n int) []string {
	var names []string
	for b := range n {
		names = append(names, fmt.Sprintf("%d to %d", 4*(b-n/2), 4*(b-n/2)+3))
	}
	return names
}

var demoWords = strings.Fields("[CLS] the func ##tion returns an elephant if the file is missing [SEP]")

func demoAttention(heads int) Heatmap {
	rng := rand.New(rand.NewPCG(5, 5))
	n := len(demoWords)
	var maps [][][]float64
	for h := range heads {
		m := matrix(n, n, func(q, k int) float64 { return math.Exp(2*rng.NormFloat64() - math.Abs(float64(q-k+h-1))) })
		for _, row := range m {
			sum := 0.0
			for _, w := range row {
				sum += w
			}
			for k := range row {
				row[k] /= sum
			}
		}
		maps = append(maps, m)
	}
	return AttentionMap(demoWords, maps...)
}

func demoSquares() Heatmap {
	bias := demoBias(4, 32)
	h := Heatmap{Name: "bias_by_position", Title: "Bias by position (made-up numbers)", Label: "bias", RowLabel: "query", ColumnLabel: "key", Signed: true}
	for i := range bias {
		h.Panels = append(h.Panels, Panel{headName(i), matrix(48, 48, func(q, k int) float64 { return bias[i][max(0, min(31, (k-q)/2+16))] })})
	}
	h.Panels[1].Values[3][40] = math.NaN()
	return h
}

func demoDetections(names ...string) []Detection {
	var series []Detection
	for i, name := range names {
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		d := Detection{Name: name}
		for range 3000 {
			replaced := rng.Float64() < 0.15
			logit := -2 + rng.NormFloat64()
			if replaced {
				logit += 3 - float64(i)
			}
			d.Replaced, d.Probability = append(d.Replaced, replaced), append(d.Probability, 1/(1+math.Exp(-logit)))
		}
		series = append(series, d)
	}
	return series
}

func demoSizes() GeneratorSizes {
	rng := rand.New(rand.NewPCG(3, 3))
	g := GeneratorSizes{Name: "sizes", Title: "How large a generator? (made-up numbers)", Outcome: "RTD AUC on the frozen held-out set"}
	for i, label := range []string{"1/8", "1/4", "1/3", "1/2", "1"} {
		s := GeneratorSize{Ratio: []float64{1. / 8, 1. / 4, 1. / 3, 1. / 2, 1}[i], Label: label}
		for range 3 {
			s.Outcomes = append(s.Outcomes, 0.8-0.03*math.Pow(math.Log2(s.Ratio)+1.7, 2)+0.01*rng.NormFloat64())
		}
		g.Sizes = append(g.Sizes, s)
	}
	return g
}

func demoShares() Shares {
	return Shares{Name: "shares", Title: "How much must learn? (made-up numbers)", Outcome: "accuracy on the test texts", Shares: []Share{
		{"full", 1, []float64{0.81, 0.84, 0.8}}, {"head", 1e-4, []float64{0.71, 0.7, 0.74}}, {"lora", 3e-3, []float64{0.8, 0.83, 0.82}},
	}}
}

func demoCorrection() Correction {
	rng := rand.New(rand.NewPCG(4, 4))
	c := Correction{Name: "corrected", Title: "What the model would correct (made-up numbers)"}
	for range 6 {
		for _, word := range demoWords {
			t := Token{Text: word, Replaced: 0.3 * rng.Float64() * rng.Float64()}
			if word == "elephant" && len(c.Tokens) < 40 {
				t.Replaced, t.Correction = 0.97, "error"
			}
			c.Tokens = append(c.Tokens, t)
		}
	}
	return c
}

// demoNoise is a run of n points with a spike at each of the places.
func demoNoise(n int, spikes ...int) Line {
	rng := rand.New(rand.NewPCG(6, 6))
	var l Line
	for i := range n {
		x := 3 * float64(i)
		l.X, l.Y = append(l.X, x), append(l.Y, 2.2+4*math.Exp(-x/300)+0.06*rng.NormFloat64())
	}
	for _, i := range spikes {
		l.Y[i] += 1.5
	}
	return l
}

func demoWaits(names ...string) KaplanMeier {
	k := KaplanMeier{Name: "tokens_to", Title: "Tokens until an AUC of 0.75 (made-up numbers)", Event: "reached an AUC of 0.75", X: Tokens}
	for i, name := range names {
		rng := rand.New(rand.NewPCG(uint64(i), 9))
		w := Waits{Name: name}
		for range 5 {
			t := math.Round(20*(0.6+0.1*float64(i)+0.5*rng.Float64())) / 20
			w.Until, w.Censored = append(w.Until, 4e6*min(t, 1)), append(w.Censored, t > 1)
		}
		k.Series = append(k.Series, w)
	}
	return k
}

func demoTimings() Timings {
	t := Timings{Name: "timings", Title: "Time a step (made-up numbers)"}
	for i, name := range longNames[:4] {
		d := time.Duration(1+i*i*i) * 800 * time.Microsecond
		t.Functions = append(t.Functions, Timing{Name: name, Mean: d, Q5: d * 8 / 10, Q25: d * 9 / 10, Median: d, Q75: d * 12 / 10, Q95: d * 15 / 10})
	}
	return t
}
