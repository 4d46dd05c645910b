package viz

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

func put(t *testing.T, n string, f interface{ Figure() (Figure, error) }) {
	fig, err := f.Figure()
	if err != nil {
		t.Error(n, err)
		return
	}
	os.WriteFile("/root/exp/viz/"+n+".png", fig.PNG, 0o644)
	fmt.Println(n, len(fig.PNG), fig.Width, fig.Height, fig.Alt)
}
func TestZZ(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	heads := make([][]float64, 4)
	var buckets []string
	for h := range heads {
		for b := range 32 {
			d := float64(b - 15)
			heads[h] = append(heads[h], math.Exp(-math.Abs(d-float64(h*3-4))/4)*(1-0.8*float64(h%3))+0.05*rng.NormFloat64())
		}
	}
	for b := range 32 {
		if b < 16 {
			buckets = append(buckets, fmt.Sprintf("−%d to −%d", 16-b+3, 16-b))
		} else {
			buckets = append(buckets, fmt.Sprint(b-15))
		}
	}
	put(t, "biasmap", BiasMap(buckets, heads))
	var dist []float64
	prof := make([][]float64, 4)
	for d := -63; d < 64; d++ {
		dist = append(dist, float64(d))
		for h := range prof {
			prof[h] = append(prof[h], heads[h][max(0, min(31, d/3+15))])
		}
	}
	put(t, "biasprofile", BiasProfile(dist, prof))
	sxs := func(n int, f func(i, j int) float64) [][]float64 {
		m := make([][]float64, n)
		for i := range m {
			for j := range n {
				m[i] = append(m[i], f(i, j))
			}
		}
		return m
	}
	var ps []Panel
	for h := range 4 {
		ps = append(ps, Panel{headName(h), sxs(64, func(i, j int) float64 { return heads[h][max(0, min(31, (j-i)/3+15))] })})
	}
	put(t, "biasss", Heatmap{Name: "b", Title: "Bias, query by key", Label: "bias", RowLabel: "query position", ColumnLabel: "key position", Signed: true, Panels: ps})
	toks := strings.Fields("[CLS] the function returns an error if the file is missing [SEP]")
	att := func(h int) [][]float64 {
		m := sxs(len(toks), func(i, j int) float64 { return math.Exp(2*rng.NormFloat64() - math.Abs(float64(i-j+h-1))) })
		for i := range m {
			s := 0.
			for _, v := range m[i] {
				s += v
			}
			for j := range m[i] {
				m[i][j] /= s
			}
		}
		return m
	}
	put(t, "att1", AttentionMap(toks, att(0)))
	put(t, "att4", AttentionMap(toks, att(0), att(1), att(2), att(3)))
	det := func(name string, k float64) Detection {
		d := Detection{Name: name}
		for range 4000 {
			r := rng.Float64() < 0.15
			z := -2 + 0.8*rng.NormFloat64()*k
			if r {
				z += k * 2
			}
			d.Replaced = append(d.Replaced, r)
			d.Probability = append(d.Probability, 1/(1+math.Exp(-z)))
		}
		return d
	}
	ds := []Detection{det("METRO baseline", 1.2), det("no relative position bias", 0.4), det("generator of half the depth", 0.9)}
	put(t, "roc", ROC{Name: "roc", Title: "Finding replaced tokens", Series: ds})
	put(t, "cal", Calibration{Name: "cal", Title: "Is the detector's probability to be trusted?", Series: ds})
	put(t, "cal1", Calibration{Name: "cal", Title: "Is the detector's probability to be trusted?", Series: ds[:1]})
	g := GeneratorSizes{Name: "sizes", Title: "How large a generator?", Outcome: "RTD AUC on the frozen held-out set"}
	for i, r := range []float64{1. / 8, 1. / 4, 1. / 3, 1. / 2, 1} {
		s := GeneratorSize{Ratio: r, Label: []string{"1/8", "1/4", "1/3", "1/2", "1"}[i]}
		for range 3 {
			s.Outcomes = append(s.Outcomes, 0.8-0.03*math.Pow(math.Log2(r)+1.7, 2)+0.01*rng.NormFloat64())
		}
		g.Sizes = append(g.Sizes, s)
	}
	put(t, "sizes", g)
	words := "the func ##tion returns an elephant if the file is missing , and the caller must closed it before the program exits with status code two ; see the documentation of the package for more details on how errors are wrapped and compared ."
	c := Correction{Name: "fix", Title: "What the model would correct"}
	for _, w := range strings.Fields(words) {
		tk := Token{Text: w, Replaced: 0.3 * rng.Float64() * rng.Float64()}
		switch w {
		case "elephant":
			tk.Replaced, tk.Correction = 0.97, "error"
		case "closed":
			tk.Replaced, tk.Correction = 0.71, "close"
		case "two":
			tk.Replaced = 0.55
		}
		c.Tokens = append(c.Tokens, tk)
	}
	put(t, "fix", c)
	var loss, norm, cos Line
	for i := range 600 {
		x := float64(i) * 3
		y := 2.2 + 4*math.Exp(-x/300) + 0.06*rng.NormFloat64()
		n := 0.8 * math.Exp(0.3*rng.NormFloat64())
		if i == 200 || i == 201 || i == 450 {
			y += 1.5
			n *= 8
		}
		loss.X = append(loss.X, x)
		loss.Y = append(loss.Y, y)
		norm.X = append(norm.X, x)
		norm.Y = append(norm.Y, n)
		cos.X = append(cos.X, x)
		cos.Y = append(cos.Y, 0.4*math.Exp(-x/500)+0.03*rng.NormFloat64())
	}
	put(t, "spikes", LossSpikes(Seconds, Series{"baseline", []Line{loss}}))
	put(t, "norms", GradientNorms(Steps, 1, Series{"baseline", []Line{norm}}))
	put(t, "tie", TieCosine(Steps, Series{"baseline", []Line{cos}}))
	fl := demoCurves("METRO", "no bias")
	fl.X = FLOPs.OnLogScale()
	for _, s := range fl.Series {
		for _, r := range s.Runs {
			for i := range r.X {
				r.X[i] = (r.X[i] + 30) * 3e12
			}
		}
	}
	put(t, "flops", fl)
	tk := demoCurves("METRO")
	tk.X = Tokens
	for _, s := range tk.Series {
		for _, r := range s.Runs {
			for i := range r.X {
				r.X[i] = (r.X[i]) * 2048
			}
		}
	}
	tk.Levels = []Level{{0.5, "chance"}}
	put(t, "tokens", tk)
}
