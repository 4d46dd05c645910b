// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// everyObjective is all that can be trained, each objective and each of its forms, with the names of its terms.
var everyObjective = []struct {
	set   string // assignments
	terms string
}{
	{"objective.name=mlm", "lm"},
	{"objective.name=replace_mlm", "generator lm"},
	{"objective.name=rtd_masked", "generator rtd"},
	{"objective.name=rtd", "generator rtd"},
	{"objective.name=all_token_lm", "generator lm"},
	{"objective.name=rtd_clm objective.clm=simplified", "generator rtd clm"},
	{"objective.name=rtd_clm objective.clm=weighted", "generator rtd clm"},
	{"objective.name=rtd_clm objective.clm=mixture", "generator rtd clm"},
	{"objective.name=rtd_clm objective.clm=mixture_flow", "generator rtd clm"},
	{"objective.name=rtd_clm objective.clm=without_copy", "generator clm"},
	{"objective.name=rtd_clm_scl objective.clm=mixture", "generator rtd clm scl"},
	{"objective.name=rtd_clm_mist objective.options.threshold=0.4", "generator rtd clm second_rtd second_clm"},
	{"objective.name=rtd_clm_mist objective.options.form=target_only objective.clm=without_copy", "generator clm second_clm"},
	{"objective.name=rtd_clm_mist objective.options.form=mix positions.rows=64 objective.clm=mixture_flow", "generator rtd clm second_rtd second_clm"},
	{"objective.name=rtd_clm_exits main.layers=2 objective.clm=weighted", "generator rtd clm early_rtd"},
}

// twiceTheRows is what all have where they share a store, of a position table that suits the longest rows that one of them reads.
const twiceTheRows = "positions.rows=64"

// The table above has every registered objective of this package and every form.
func TestEveryObjectiveIsTested(t *testing.T) {
	var all strings.Builder
	for _, o := range everyObjective {
		all.WriteString(o.set + " ")
	}
	for _, name := range metro.Choices()["objective.name"] {
		if !strings.HasPrefix(name, "test_") && name != "rtd_confident" { // which the tests register
			require.Contains(t, all.String(), "objective.name="+name+" ")
		}
	}
	for _, form := range metro.Choices()["objective.clm"] {
		require.Contains(t, all.String(), "objective.clm="+form+" ")
	}
}

// The loss is the sum of the terms, each times the weight of its name in the config; without a generator that learns
// its term is missing and nothing else.
func TestTerms(t *testing.T) {
	be := backendtest.Go(t)
	weights := []string{"objective.generator_weight=2", "objective.rtd_weight=3", "objective.clm_weight=5", "objective.scl_weight=7"}
	weightOf := map[string]float64{"generator": 2, "rtd": 3, "lm": 5, "clm": 5, "scl": 7, "second_rtd": 3, "second_clm": 5}
	for _, o := range everyObjective {
		for _, source := range []string{"joint", "unigram"} {
			m := small(t, slices.Concat(weights, strings.Fields(o.set), []string{"replacements.source=" + source})...)
			var names []string
			out := call(be, shaken(be, m), m, smallBatch(), func(p *metro.Pass) []*Node {
				nodes := []*Node{p.Loss}
				names = nil
				for _, term := range p.Terms {
					names, nodes = append(names, term.Name), append(nodes, term.Loss)
				}
				return nodes
			})
			want := o.terms
			if source == "unigram" {
				want = strings.TrimPrefix(want, "generator ")
			}
			require.Equal(t, strings.Fields(want), names, o.set)
			sum := 0.0
			for i, name := range names {
				if slices.Contains(names, "early_rtd") { // the weight of RTD is divided, 1 to 1/2
					weightOf["rtd"], weightOf["early_rtd"] = 2, 1
				}
				sum += weightOf[name] * number(out[1+i])
			}
			require.InDelta(t, sum, number(out[0]), 1e-12, o.set)
		}
	}
}

// An objective makes the variables that it uses and no others.
func TestObjectivesMakeWhatTheyUse(t *testing.T) {
	be := backendtest.Go(t)
	for _, o := range everyObjective {
		m := small(t, strings.Fields(o.set)...)
		list := paths(fresh(be, m))
		has := func(prefix string) bool {
			return slices.ContainsFunc(list, func(path string) bool { return strings.HasPrefix(path, prefix+"/") })
		}
		uses := func(term string) bool { return slices.Contains(strings.Fields(o.terms), term) }
		require.Equal(t, uses("generator"), has("/generator"), o.set)
		require.Equal(t, uses("rtd") || strings.Contains(o.set, "all_token_lm"), has("/main/rtd"), o.set)
		require.Equal(t, uses("clm"), has("/main/clm"), o.set)
		require.Equal(t, uses("lm"), has("/main/lm"), o.set)
		require.Equal(t, uses("scl"), has("/main/scl"), o.set)
	}
}

// The same weights, batch and noise give the same losses on every backend, in the float32 that is trained in; and the
// same samples, without which they would differ. All objectives are one graph, which XLA compiles in a fraction of the
// time; in pure Go each gives there what it gives alone.
func TestBackendsAgree(t *testing.T) {
	var models []metro.Model
	for _, o := range everyObjective {
		models = append(models, small(t, append(strings.Fields(o.set), twiceTheRows)...))
	}
	weights := shaken(backendtest.Go(t), models...)
	losses := func(t *testing.T, be compute.Backend, build func(p *metro.Pass) []*Node, m metro.Model) []float32 {
		out := call(be, inFloat32(t, weights), m, smallBatch(), func(p *metro.Pass) []*Node { return []*Node{Stack(build(p), 0)} })
		return tensors.MustCopyFlatData[float32](out[0])
	}
	each := func(terms []metro.Term) []*Node {
		nodes := []*Node{weighted(terms)}
		for _, term := range terms {
			nodes = append(nodes, term.Loss)
		}
		return nodes
	}
	var want []float32
	for _, m := range models {
		want = append(want, losses(t, backendtest.Go(t), func(p *metro.Pass) []*Node { return each(p.Terms) }, m)...)
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		got := losses(t, be, func(p *metro.Pass) (all []*Node) {
			for _, m := range models {
				all = append(all, each(p.TermsOf(m.Config.Objective))...)
			}
			return all
		}, models[0])
		require.Len(t, got, len(want))
		for i := range want {
			require.InEpsilon(t, want[i], got[i], 1e-5, "loss %d", i)
		}
	})
}

// In float64 the backends agree in every gradient as well. Those of the relative position tables are not 0 on any: fused
// attention kernels can drop them without a word.
func TestBackendsAgreeInGradients(t *testing.T) {
	m := small(t, "objective.clm=mixture_flow", "main.layers=1")
	var loss []float64
	var slopes []map[string][]float64
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		l, g := gradients(be, shaken(be, m), m, total)
		loss, slopes = append(loss, l[0]), append(slopes, g[0])
		require.InDelta(t, loss[0], l[0], 1e-9)
		for path, want := range slopes[0] {
			require.InDeltaSlice(t, want, g[0][path], 1e-8*max(1, norm(want)), path)
		}
		require.Greater(t, norm(g[0]["/main/relative_position_table"]), 1e-6)
		require.Greater(t, norm(g[0]["/generator/relative_position_table"]), 1e-6)
	})
}

// inFloat32 copies the variables of a store into a float32 one.
func inFloat32(t *testing.T, store *model.Store) *model.Store {
	t.Helper()
	copied := model.NewStore()
	for _, v := range variables(store) {
		values := make([]float32, v.Shape().Size())
		for i, x := range flat(v.MustValue()) {
			values[i] = float32(x)
		}
		_, err := copied.CreateVariable(v.Path(), tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...))
		require.NoError(t, err)
	}
	return copied
}
