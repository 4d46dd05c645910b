// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// Study is every method at every rank in every scope, of one target.
type Study struct {
	Target    string
	Methods   []string // nil is all
	Layers    []string // scopes, each as [Options.Layers]; nil is each layer by itself, and all. Not for embeddings
	Across    bool     // scopes of several layers are taken as one stack too, by the methods that stack
	Ranks     []int    // nil is the powers of two that fit
	Normalise bool     // for the methods that stack
	Start     string   // of cp and noise
	Seed      int64
}

// variants are the compressions of a study, for src.
func (s Study) variants(src weights.Source) (list []Options, err error) {
	methods, scopes, ranks := s.Methods, s.Layers, s.Ranks
	if methods == nil {
		methods = Methods
	}
	layers := src.Model().Config.Main.Layers
	switch {
	case s.Target == TargetEmbeddings && scopes == nil:
		scopes = []string{""}
	case scopes == nil:
		for i := range layers {
			scopes = append(scopes, strconv.Itoa(i))
		}
		if layers > 1 {
			scopes = append(scopes, "all")
		}
	}
	if ranks == nil {
		for rank := 1; ; rank *= 2 {
			if _, err := (Options{Method: MethodSVD, Target: s.Target, Rank: rank}).stacks(src); err != nil {
				if rank == 1 {
					return nil, err
				}
				break
			}
			ranks = append(ranks, rank)
		}
	}
	for _, scope := range scopes {
		for _, across := range []bool{false, true} {
			for _, method := range methods {
				stacking := method != MethodSVD && s.Target != TargetEmbeddings
				if across {
					if one, err := (Options{Layers: scope}).layers(layers); !s.Across || !stacking || err != nil || len(one) == 1 {
						continue
					}
				}
				for _, rank := range ranks {
					o := Options{Method: method, Target: s.Target, Layers: scope, Across: across, Rank: rank, Normalise: s.Normalise && stacking}
					if method == MethodCP || method == MethodNoise {
						o.Start = s.Start
					}
					if method == MethodNoise || o.Start == StartRandom {
						o.Seed = s.Seed
					}
					if _, err := o.stacks(src); err != nil {
						return nil, err
					}
					list = append(list, o)
				}
			}
		}
	}
	if len(list) == 0 {
		return nil, usererr.New("there is nothing to compress: name a method, layers and a rank")
	}
	return list, nil
}

// Check refuses what src cannot have done with it, which is the user's error.
func (s Study) Check(src weights.Source) error {
	_, err := s.variants(src)
	return err
}

// Detector scores rows of a frozen set by models of one configuration.
type Detector struct {
	model  metro.Model
	halves *Halves
	held   metro.Inventory
	store  *model.Store
	exec   *model.Exec
	rows   int // at a time
}

// NewDetector builds the detector of src's model. A model without a head that could detect is the user's error.
func NewDetector(be compute.Backend, src weights.Source, h *Halves) (d *Detector, err error) {
	m := src.Model()
	held := weights.All(src)
	d = &Detector{m, h, held, model.NewStore(), nil, max(1, 2048/h.set.SeqLen)}
	if len(held.HeadOf(metro.OwnerMain, metro.HeadRTD))+len(held.HeadOf(metro.OwnerMain, metro.HeadCLM))+len(held.HeadOf(metro.OwnerMain, metro.HeadLM)) == 0 {
		return nil, usererr.New("%s has no head that could detect replaced tokens", src)
	}
	held.Fill(d.store)
	err = exceptions.TryCatch[error](func() {
		d.exec = model.MustNewExec(be, d.store, func(scope *model.Scope, in []*Node) *Node { return m.Detect(scope, in[0], in[1]) })
	})
	return d, err
}

// Close frees the program.
func (d *Detector) Close() { d.exec.Finalize() }

// scores are those of the whole set, [N, S], with the weights that the store has.
func (d *Detector) scores() (scores []float32, err error) {
	s := d.halves.set.SeqLen
	ids := d.halves.set.Corrupted
	err = exceptions.TryCatch[error](func() {
		for at := 0; at < len(ids); at += d.rows * s {
			some := make([]int32, d.rows*s) // the last rows are filled up with others, whose scores are dropped
			n := copy(some, ids[at:])
			for k := n; k < len(some); k++ {
				some[k] = some[k%n]
			}
			out := d.exec.MustCall(tensors.FromFlatDataAndDimensions(some, d.rows, s), float32(d.model.Config.Positions.Scale))[0]
			scores = append(scores, tensors.MustCopyFlatData[float32](out)[:n]...)
			out.MustFinalizeAll()
		}
	})
	return scores, err
}

// Scores are what one model's compressions have done.
type Scores struct {
	Name     string
	Base     [2]float64 // AUC of the model as it is, on each half
	variants []scored
}

// scored is one compression of one model.
type scored struct {
	options Options
	error   float64 // of all stacks together, relative
	ratio   float64
	rows    [2][]float64 // contributions to the difference of AUC, by half
}

// Score compresses src in every way of the study, and scores each. progress hears of compressions done and their number.
func (s Study) Score(ctx context.Context, d *Detector, src weights.Source, progress func(done, total int)) (*Scores, error) {
	variants, err := s.variants(src)
	if err != nil {
		return nil, err
	}
	if err := weights.Restore(d.store, src, d.model.Config, d.held); err != nil {
		return nil, err
	}
	all, err := d.scores()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", src, err)
	}
	out := &Scores{Name: src.String()}
	var base [2][]float64
	for i, part := range d.halves.parts {
		base[i] = part.contributions(all)
		if out.Base[i] = sum(base[i]); math.IsNaN(out.Base[i]) {
			return nil, usererr.New("%s gives scores that are no numbers", src)
		}
	}
	touched := map[string]bool{}
	kept := map[string]approximation{} // layers by themselves are those of all, too
	for done, o := range variants {
		if progress != nil {
			progress(done, len(variants))
		}
		low := &compressed{src, map[string][]float32{}, nil}
		stacks, err := o.stacks(src)
		if err != nil {
			return nil, err
		}
		var parts []Part
		for _, st := range stacks {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			key := fmt.Sprint(o.Method, o.Rank, len(st), st[0].weight.Path())
			a, ok := kept[key]
			if !ok {
				if a, err = o.approximate(src, st); err != nil {
					return nil, err
				}
				kept[key] = a
			}
			maps.Copy(low.values, a.values)
			parts = append(parts, a.part)
		}
		for name := range low.values {
			touched[name] = true
		}
		if err := weights.Restore(d.store, low, d.model.Config, d.held.Where(func(w metro.Weight) bool { return touched[w.Tensor()] })); err != nil {
			return nil, err
		}
		if all, err = d.scores(); err != nil {
			return nil, fmt.Errorf("run %s: %w", src, err)
		}
		v := scored{options: o, error: relative(parts), ratio: Ratio(parts)}
		for i, part := range d.halves.parts {
			v.rows[i] = part.contributions(all)
			for k := range v.rows[i] {
				v.rows[i][k] -= base[i][k]
			}
			if math.IsNaN(sum(v.rows[i])) {
				return nil, usererr.New("%s gives scores that are no numbers after %s of rank %d", src, o.Method, o.Rank)
			}
		}
		out.variants = append(out.variants, v)
	}
	if progress != nil {
		progress(len(variants), len(variants))
	}
	return out, nil
}

// relative is the root of the mean of the squares of the stacks' errors.
func relative(parts []Part) float64 {
	total := 0.0
	for _, p := range parts {
		total += p.Error * p.Error
	}
	return math.Sqrt(total / float64(len(parts)))
}

// Report is what a study has found. Differences are in AUC, of the compressed model to the one that it was made of, in the mean over
// models.
type Report struct {
	Set      string        `json:"set"`
	Target   string        `json:"target"`
	Rows     [2]int        `json:"rows"` // of the half that chooses, and of that which is reported
	Models   []ModelReport `json:"models"`
	Chosen   []Choice      `json:"chosen"`
	Variants []Variant     `json:"variants"`
}

// ModelReport is a model as it is.
type ModelReport struct {
	Name string     `json:"name"`
	AUC  [2]float64 `json:"auc"` // on each half
}

// Choice is the rank that is best on the one half, for each model by itself, as it does on both.
type Choice struct {
	Method   string    `json:"method"`
	Layers   string    `json:"layers"`
	Across   bool      `json:"across,omitempty"`
	Ranks    []int     `json:"ranks"`    // by model
	Choosing float64   `json:"choosing"` // difference on the half that chose: the best of many
	Reported float64   `json:"reported"` // on the other
	Interval []float64 `json:"interval"` // 95 %, of Reported
	Each     []float64 `json:"each"`     // Reported, by model
	Ratio    float64   `json:"ratio"`    // how many times as many numbers as the factors, in the mean
}

// Variant is one compression.
type Variant struct {
	Method   string    `json:"method"`
	Layers   string    `json:"layers"`
	Across   bool      `json:"across,omitempty"`
	Rank     int       `json:"rank"`
	Error    float64   `json:"error"` // of the matrices
	Ratio    float64   `json:"ratio"`
	Choosing float64   `json:"choosing"`
	Reported float64   `json:"reported"`
	Interval []float64 `json:"interval"`
	Each     []float64 `json:"each"`
	PText    float64   `json:"p_text"`             // see [MaxT], over the rows of the reported half: would other text say so of these models?
	PModels  *float64  `json:"p_models,omitempty"` // over models, where they are six and more: would other models?
}

// Summarise puts the scores of models of one configuration together. Intervals are over models where they are three and more, by
// Student's t, and else over rows of text.
func (s Study) Summarise(h *Halves, scores []*Scores) Report {
	r := Report{Target: s.Target, Rows: h.Rows()}
	for _, m := range scores {
		r.Models = append(r.Models, ModelReport{m.Name, m.Base})
	}
	n := len(scores[0].variants)
	text, models := make([][]float64, n), make([][]float64, n)
	for k := range n {
		o := scores[0].variants[k].options
		v := Variant{Method: o.Method, Layers: o.Layers, Across: o.Across, Rank: o.Rank, Ratio: scores[0].variants[k].ratio}
		var rows [][]float64
		for _, m := range scores {
			one := m.variants[k]
			v.Error += one.error / float64(len(scores))
			v.Choosing += sum(one.rows[0]) / float64(len(scores))
			v.Each = append(v.Each, sum(one.rows[1]))
			rows = append(rows, one.rows[1])
		}
		text[k], models[k] = meanRows(rows), v.Each
		v.Reported, v.Interval = estimate(v.Each, text[k])
		r.Variants = append(r.Variants, v)
	}
	for k, p := range MaxT(text, s.Seed) {
		r.Variants[k].PText = p
	}
	if len(scores) >= 6 {
		for k, p := range MaxT(models, s.Seed) {
			r.Variants[k].PModels = &p
		}
	}
	for first := 0; first < n; {
		o := scores[0].variants[first].options
		last := first
		for last < n && alike(scores[0].variants[last].options, o) {
			last++
		}
		r.Chosen = append(r.Chosen, choose(scores, first, last))
		first = last
	}
	return r
}

// alike reports whether two variants differ in their rank alone.
func alike(a, b Options) bool {
	a.Rank = b.Rank
	return a == b
}

// choose takes of the variants from first to last, for each model by itself, that which is best on the one half.
func choose(scores []*Scores, first, last int) Choice {
	o := scores[0].variants[first].options
	c := Choice{Method: o.Method, Layers: o.Layers, Across: o.Across}
	var rows [][]float64
	for _, m := range scores {
		best := slices.MaxFunc(m.variants[first:last], func(a, b scored) int { return cmp.Compare(sum(a.rows[0]), sum(b.rows[0])) })
		c.Ranks = append(c.Ranks, best.options.Rank)
		c.Choosing += sum(best.rows[0]) / float64(len(scores))
		c.Ratio += best.ratio / float64(len(scores))
		c.Each = append(c.Each, sum(best.rows[1]))
		rows = append(rows, best.rows[1])
	}
	c.Reported, c.Interval = estimate(c.Each, meanRows(rows))
	return c
}

// meanRows is the mean over models of what each row contributes.
func meanRows(rows [][]float64) []float64 {
	mean := make([]float64, len(rows[0]))
	for _, one := range rows {
		for i, x := range one {
			mean[i] += x / float64(len(rows))
		}
	}
	return mean
}

// estimate is a mean over models with its 95 % interval: over models where they are three and more, else over rows.
func estimate(each, rows []float64) (mean float64, interval []float64) {
	mean = stat.Mean(each, nil)
	deviation, z := math.Sqrt(float64(len(rows)))*stat.StdDev(rows, nil), distuv.UnitNormal.Quantile(0.975)
	if len(each) >= 3 {
		n := float64(len(each))
		deviation, z = stat.StdDev(each, nil)/math.Sqrt(n), distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975)
	}
	return mean, []float64{mean - z*deviation, mean + z*deviation}
}
