// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/training"
)

// lowRank is a feed-forward map x·A·B without an activation.
type lowRank struct {
	rank int
	init layers.Initializer
}

func (f lowRank) Weights(width int) []layers.Weight {
	return []layers.Weight{
		{Part: "low_rank", Kind: "down", Shape: []int{width, f.rank}, Init: f.init, Role: layers.RoleDense},
		{Part: "low_rank", Kind: "up", Shape: []int{f.rank, width}, Init: f.init, Role: layers.RoleDense},
		{Part: "low_rank", Kind: "gate", Shape: []int{width}, Init: layers.InitOnes, Role: layers.RoleNorm},
	}
}

func (f lowRank) Apply(scope *model.Scope, x, _ *Node) *Node {
	w := f.Weights(x.Shape().Dim(-1))
	x = layers.Product(scope, "bsh,hr->bsr", x, w[0].Node(scope, x))
	x = layers.Product(scope, "bsr,rh->bsh", x, w[1].Node(scope, x))
	return Mul(x, ExpandLeftToRank(w[2].Node(scope, x), 3))
}

// factored is a narrow table and a map to the full width.
type factored struct {
	vocab, inner, width int
	init                layers.Initializer
}

func (e factored) Weights() []layers.Weight {
	return []layers.Weight{
		{Part: "token_factor", Shape: []int{e.vocab, e.inner}, Init: e.init, Role: layers.RoleTable},
		{Part: "token_mix", Shape: []int{e.inner, e.width}, Init: layers.InitFanIn, Role: layers.RoleDense},
	}
}

func (e factored) Embed(scope *model.Scope, weights []*Node, ids *Node) *Node {
	return layers.Embed(scope, e.Output(scope, weights), ids)
}

func (e factored) Output(_ *model.Scope, weights []*Node) *Node {
	return MatMul(weights[0], weights[1])
}

// slopes is a bias that falls by a learned slope a head with the distance.
type slopes struct{}

func (slopes) PerLayer() bool { return true }

func (slopes) Weights(heads int) []layers.Weight {
	return []layers.Weight{{Part: "slopes", Shape: []int{heads}, Init: layers.InitOnes, Role: layers.RoleBias}}
}

func (b slopes) Apply(scope *model.Scope, x *Node, heads int) *Node {
	g, s := x.Graph(), x.Shape().Dim(1)
	square := shapes.Make(dtypes.Float32, s, s)
	distance := Abs(Sub(Iota(g, square, 0), Iota(g, square, 1)))
	slope := Reshape(b.Weights(heads)[0].Node(scope, x), 1, heads, 1, 1)
	return Neg(Mul(InsertAxes(distance, 0, 0), slope))
}

func init() {
	metro.AddFeedForward(metro.FeedForwardEntry{
		Part: metro.Part{Name: "test_low_rank", Version: 2, Options: []metro.Option{{Name: "rank", Neutral: 2, Low: 1, High: 64}}},
		Build: func(b layers.Block, option func(string) any) layers.FeedForward {
			return lowRank{option("rank").(int), b.Init}
		},
	})
	metro.AddEmbedder(metro.EmbedderEntry{
		Part: metro.Part{Name: "test_factored", Version: 1, Options: []metro.Option{{Name: "inner", Neutral: 4}}},
		Build: func(vocab, width int, init layers.Initializer, option func(string) any) layers.Embedder {
			return factored{vocab, option("inner").(int), width, init}
		},
	})
	metro.AddAttentionBias(metro.AttentionBiasEntry{
		Part:  metro.Part{Name: "test_slopes", Version: 1},
		Build: func(metro.Positions, func(string) any) layers.AttentionBias { return slopes{} },
	})
}

// Parts of an encoder from elsewhere are trained, decayed, shared, counted, kept and read back like those that ship, and a
// run's identity has their versions.
func TestOwnPartsOfAnEncoder(t *testing.T) {
	slots := []string{
		"main.feed_forward=test_low_rank", "main.feed_forward_options.rank=3", "embeddings.kind=test_factored", "positions.relative=test_slopes",
		"main.layers=2", "training.steps=20", "optimizer.layer_decay=0.8", "positions.scale=1",
	}
	for _, sharing := range []string{metro.SharingGDES, metro.SharingNone} {
		c := assigned(t, append(slots, "sharing="+sharing)...)
		require.Equal(t, map[string]int{
			"objective/rtd_clm": 1, "source/joint": 1, "feed_forward/test_low_rank": 2, "embedder/test_factored": 1, "attention_bias/test_slopes": 1,
		}, c.Components())
		result := trained(t, append(slots, "sharing="+sharing)...)
		weights, moments := checkpointed(t, result.Run)
		first := fresh(t, result.Run)
		p, err := training.LoadPretrained(result.Run.Dir)
		require.NoError(t, err)
		inv, complete := c.Inventory(p.Model.Vocab)
		require.True(t, complete)
		require.Len(t, weights, len(inv))
		require.Len(t, moments, 2*len(inv))
		for _, w := range inv {
			require.Len(t, weights[w.Tensor()], w.Size(), w.Path())
			if w.Part != "attention/key" { // whose bias moves all logits of a softmax alike
				require.NotEqual(t, first[w.Tensor()], weights[w.Tensor()], "%s does not learn", w.Path())
			}
		}
		described := inv.ByPath()
		require.Equal(t, []int{16, 3}, described["/main/layer_1/low_rank/down"].Shape)
		require.Equal(t, 2, described["/main/layer_1/low_rank/gate"].Depth)
		require.False(t, described["/main/layer_1/low_rank/gate"].Role.Decays())
		require.Equal(t, []int{4, 16}, described["/shared/token_mix"].Shape)
		require.NotContains(t, described, "/main/layer_0/ffn_in/weights")
		require.Contains(t, described, "/generator/layer_0/ffn_in/weights")
		require.Contains(t, described, "/generator/layer_0/slopes")
		_, differs := inv.DifferenceOf(described["/shared/token_mix"])
		require.Equal(t, sharing == metro.SharingGDES, differs)

		store, err := training.InitialVariables(backendtest.Go(t), p.Model)
		require.NoError(t, err)
		require.NoError(t, p.RestoreAll(store))
		require.Equal(t, weights["main.layer_0.low_rank.up"], values(t, store)["/main/layer_0/low_rank/up"])
		_, err = p.Export(t.TempDir())
		require.True(t, usererr.Is(err), "%v", err)
		require.ErrorContains(t, err, "shared.token_factor has no name in a Hugging Face folder")
		message := refused(t, "training.init_from="+result.Run.Dir)
		require.Contains(t, message, "main.feed_forward is test_low_rank there and dense in the config")
		require.Contains(t, message, "embeddings.kind is test_factored there and table in the config")
	}
}
