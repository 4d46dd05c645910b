// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// sharings are the ways to share, each with the embedding variables that it makes where all tables are in use and
// all of one width, and with those, a part of them, that both models read.
var sharings = []struct {
	name       string
	embeddings string
	both       string
}{
	{metro.SharingNone,
		"/generator/embedding_norm /generator/position_embedding /generator/token_embedding /generator/token_type_embedding " +
			"/main/embedding_norm /shared/position_embedding /shared/token_embedding /shared/token_type_embedding",
		""},
	{metro.SharingToken,
		"/generator/embedding_norm /generator/position_embedding /generator/token_type_embedding " +
			"/main/embedding_norm /shared/position_embedding /shared/token_embedding /shared/token_type_embedding",
		"/shared/token_embedding"},
	{metro.SharingTokenPosition,
		"/generator/embedding_norm /main/embedding_norm /shared/position_embedding /shared/token_embedding /shared/token_type_embedding",
		"/shared/position_embedding /shared/token_embedding /shared/token_type_embedding"},
	{metro.SharingTokenPositionNorm,
		"/shared/embedding_norm /shared/position_embedding /shared/token_embedding /shared/token_type_embedding",
		"/shared/embedding_norm /shared/position_embedding /shared/token_embedding /shared/token_type_embedding"},
	{metro.SharingAll,
		"/main/embedding_norm /shared/position_embedding /shared/token_embedding /shared/token_type_embedding",
		"/main/embedding_norm /shared/position_embedding /shared/token_embedding /shared/token_type_embedding"},
	{metro.SharingGDES,
		"/generator/embedding_norm /main/embedding_norm /main/position_embedding_difference /main/token_embedding_difference " +
			"/main/token_type_embedding_difference /shared/position_embedding /shared/token_embedding /shared/token_type_embedding",
		""},
}

// sharing is a model whose two encoders have one shape, and everything that can be shared.
func sharing(t *testing.T, name string) metro.Model {
	t.Helper()
	return small(t, "generator.size=same", "generator.activation=gelu_tanh", "generator.epsilon=1e-6", "embeddings.token_types=2", "sharing="+name)
}

// embeddings lists what of a store's variables belongs to the embeddings; a layer normalisation by its scope.
func embeddings(list []string) []string {
	found := map[string]bool{}
	for _, path := range list {
		path = strings.TrimSuffix(strings.TrimSuffix(path, "/gain"), "/offset")
		if strings.Contains(path, "_embedding") || strings.HasSuffix(path, "embedding_norm") {
			found[path] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func TestSharingMakesItsVariables(t *testing.T) {
	be := backendtest.Go(t)
	require.Len(t, sharings, len(metro.Choices()["sharing"]))
	for _, s := range sharings {
		m := sharing(t, s.name)
		list := paths(fresh(be, m))
		require.Equal(t, strings.Fields(s.embeddings), embeddings(list), s.name)
		if s.name == metro.SharingAll {
			for _, path := range list {
				require.True(t, !strings.HasPrefix(path, "/generator/") || strings.HasPrefix(path, "/generator/head/"), "%s is not shared", path)
			}
		}
	}
}

// Which way gradients go. What the main model learns reaches the generator's own variables, its layers and head, never;
// what the generator learns never reaches the main model's. Both reach exactly what they share. With GDES the main model
// moves its differences alone and the generator the tables.
func TestStopGradient(t *testing.T) {
	be := backendtest.Go(t)
	for _, s := range sharings {
		m := sharing(t, s.name)
		_, slopes := gradients(be, shaken(be, m), m, ofMain, term("generator"))
		fromMain, fromGenerator := slopes[0], slopes[1]
		var both []string
		for path := range fromMain {
			if norm(fromMain[path]) != 0 && norm(fromGenerator[path]) != 0 {
				both = append(both, path)
			}
			if strings.HasPrefix(path, "/generator/") {
				require.Zero(t, norm(fromMain[path]), "%s: the main model moves %s", s.name, path)
				moves := !strings.HasSuffix(path, "/key/bias") // which moves all logits of a softmax alike
				require.Equal(t, moves, norm(fromGenerator[path]) > 1e-12, "%s: %s", s.name, path)
			}
			switch one := s.name == metro.SharingAll; {
			case one && strings.HasPrefix(path, "/main/layer_") && !strings.HasSuffix(path, "/key/bias"):
				require.NotZero(t, norm(fromGenerator[path]), "the generator does not move %s", path)
			case !one && strings.HasPrefix(path, "/main/"):
				require.Zero(t, norm(fromGenerator[path]), "%s: the generator moves %s", s.name, path)
			}
		}
		require.ElementsMatch(t, strings.Fields(s.both), embeddings(both), s.name)
		if s.name == metro.SharingGDES {
			for _, table := range []string{"token_embedding", "position_embedding", "token_type_embedding"} {
				require.Zero(t, norm(fromMain["/shared/"+table]))
				require.NotZero(t, norm(fromGenerator["/shared/"+table]))
				require.NotZero(t, norm(fromMain["/main/"+table+"_difference"]))
			}
		}
	}
}

// With all weights shared the two are one function of the tokens.
func TestSharingAllIsOneEncoder(t *testing.T) {
	be := backendtest.Go(t)
	m := sharing(t, metro.SharingAll)
	store := shaken(be, m)
	out := call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node {
		scope := store.RootScope()
		return append(m.MainLayers(scope, p.Batch.Tokens, p.NonPad, p.Scalars.BiasScale, nil),
			m.GeneratorLayers(scope, p.Batch.Tokens, p.NonPad, p.Scalars.BiasScale, nil)...)
	})
	require.Len(t, out, 2*(1+m.Config.Main.Layers))
	for i := range len(out) / 2 {
		require.Equal(t, out[i].Value(), out[len(out)/2+i].Value())
	}
}

// One encoder that reads the same text as generator, as main model and in plain masked language modelling drops other elements
// each time; without dropout it is the same function.
func TestSharingAllDropsApart(t *testing.T) {
	be := backendtest.Go(t)
	m := sharing(t, metro.SharingAll)
	m.Config.Main.Dropout, m.Config.Generator.Dropout = 0.5, 0.5
	store := shaken(be, m)
	for _, key := range [][]uint64{{1, 2, 0}, nil} {
		out := call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node {
			logits := func(states *Node) *Node {
				return m.GeneratorHead(store.RootScope(), metro.GatherPositions(states, p.Batch.Positions))
			}
			return []*Node{p.GeneratorLogits(), logits(p.MaskedStates()), logits(p.Encode(p.Batch.Masked, p.NonPad, ""))}
		}, key...)
		for i, j := range []int{1, 2, 0} {
			if a, b := out[i].Value(), out[j].Value(); key != nil {
				require.NotEqual(t, a, b, "%d and %d", i, j)
			} else {
				require.Equal(t, a, b, "%d and %d", i, j)
			}
		}
	}
}

// GDES starts from the generator's tables, bit for bit: the main model is then the one that shares them. A moved
// difference moves it.
func TestGDESStartsFromTheGenerator(t *testing.T) {
	be := backendtest.Go(t)
	shared, gdes := sharing(t, metro.SharingTokenPosition), sharing(t, metro.SharingGDES)
	store := fresh(be, shared, gdes)
	states := func(m metro.Model) any {
		return call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node { return []*Node{p.States()} })[0].Value()
	}
	first := states(gdes)
	require.Equal(t, states(shared), first)
	for _, table := range []string{"token_embedding", "position_embedding", "token_type_embedding"} {
		v := store.GetVariable("/main/" + table + "_difference")
		require.NotNil(t, v, table)
		require.Zero(t, norm(flat(v.MustValue())), table)
		values := flat(v.MustValue())
		for i := range values {
			values[i] = float64(i%5) - 1.75
		}
		setValue(v, values)
		require.NotEqual(t, first, states(gdes), table)
		setValue(v, make([]float64, len(values)))
	}
}
