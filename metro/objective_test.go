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
}

// The table above has every registered objective of this package and every form.
func TestEveryObjectiveIsTested(t *testing.T) {
	var all strings.Builder
	for _, o := range everyObjective {
		all.WriteString(o.set + " ")
	}
	for _, name := range metro.Choices()["objective.name"] {
		if !strings.HasPrefix(name, "test_") {
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
	weightOf := map[string]float64{"generator": 2, "rtd": 3, "lm": 5, "clm": 5, "scl": 7}
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
// same samples, without which they would differ.
func TestBackendsAgree(t *testing.T) {
	pureGo, xla := backendtest.Go(t), backendtest.XLA(t)
	for _, o := range everyObjective {
		m := small(t, strings.Fields(o.set)...)
		weights := shaken(pureGo, m)
		losses := func(be compute.Backend) (losses []float64) {
			out := call(be, inFloat32(t, weights), m, smallBatch(), func(p *metro.Pass) []*Node {
				nodes := []*Node{p.Loss}
				for _, term := range p.Terms {
					nodes = append(nodes, term.Loss)
				}
				return nodes
			})
			for _, x := range out {
				losses = append(losses, float64(tensors.ToScalar[float32](x)))
			}
			return losses
		}
		want := losses(pureGo)
		require.InDeltaSlice(t, want, losses(xla), 1e-5*max(1, want[0]), o.set)
	}
}

// In float64 the backends agree in every gradient as well.
func TestBackendsAgreeInGradients(t *testing.T) {
	pureGo, xla := backendtest.Go(t), backendtest.XLA(t)
	m := small(t, "objective.name=rtd_clm_scl", "objective.clm=mixture_flow", "positions.relative=t5", "positions.per_layer=true")
	lossA, a := gradients(pureGo, shaken(pureGo, m), m, total)
	lossB, b := gradients(xla, shaken(xla, m), m, total)
	require.InDelta(t, lossA[0], lossB[0], 1e-9)
	for path, g := range a[0] {
		require.InDeltaSlice(t, g, b[0][path], 1e-8*max(1, norm(g)), path)
	}
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
