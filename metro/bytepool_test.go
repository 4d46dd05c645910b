// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// spelled is a small model whose vectors are of bytes; its last two tokens are written alike.
func spelled(t testing.TB, assignments ...string) metro.Model {
	t.Helper()
	m := small(t, append([]string{"embeddings.kind=bytes", "embeddings.options.byte_width=8"}, assignments...)...)
	m.Spelling = layers.Spelling{Free: []int32{0, 1, 2, 3, 4}, Bytes: [][]byte{nil, nil, nil, nil, nil, []byte(" a"), []byte(" b"), []byte("ab"), []byte("c"), []byte(" d"), []byte(" d")}}
	return m
}

// The graph reads the byte encoder's weights, all that the inventory has and no others, however the two models share; no weight has a
// row a token, but for biases of heads.
func TestBytesAreRead(t *testing.T) {
	for _, sharing := range []string{metro.SharingNone, metro.SharingToken, metro.SharingTokenPosition, metro.SharingTokenPositionNorm, metro.SharingGDES} {
		m := spelled(t, "sharing="+sharing)
		want, complete := m.Config.Inventory(m.Vocab)
		require.True(t, complete)
		store := model.NewStore()
		exec := model.MustNewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
			p := forward(m, scope, in)
			require.ElementsMatch(t, pathsOf(want), pathsOf(m.ReadBy(p.Loss.Graph(), store)), sharing)
			return []*Node{p.Loss}
		})
		exec.MustCall(smallBatch().args()...)
		exec.Finalize()
		for _, w := range want {
			require.True(t, w.Head != "" || w.Shape[0] != m.Vocab, w.Path())
		}
		_, own := want.ByPath()["/generator/byte_block_3/ffn_out/weights"]
		require.Equal(t, sharing == metro.SharingNone, own)
		_, differs := want.ByPath()["/main/byte_block_3/ffn_out_difference/weights"]
		require.Equal(t, sharing == metro.SharingGDES, differs)
	}
}

// Heads are tied to the vectors that are looked up: tokens that are written alike have equal logits, and stand for each other in a row.
func TestHeadsAreTiedToBytes(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		m := spelled(t, "sharing=gdes", "embeddings.width=4")
		store := model.NewStore()
		rows := smallBatch().tokens
		exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
			one := Const(in[0].Graph(), float32(1))
			states := m.MainStates(scope, in[0], NotEqual(in[0], ZerosLike(in[0])), one, nil)
			return []*Node{m.LMHead(scope, states), m.CLMHead(scope, states)}
		})
		defer exec.Finalize()
		first := exec.MustCall(rows)
		for _, logits := range first {
			for _, row := range logits.Value().([][][]float32) {
				for _, token := range row {
					require.Equal(t, token[9], token[10])
					require.NotEqual(t, token[8], token[10])
				}
			}
		}
		rows[0][5], rows[0][6] = 10, 9 // were 9 and 10
		second := exec.MustCall(rows)
		require.InDeltaSlice(t, first[0].Value().([][][]float32)[0][5], second[0].Value().([][][]float32)[0][5], 1e-6)
	})
}

// What is counted: the byte encoder in the place of the table, and what layers share once.
func TestTinyCounts(t *testing.T) {
	count := func(assignments ...string) int {
		c := recipes.Tiny()
		require.NoError(t, c.SetAll(assignments...))
		require.NoError(t, c.Validate())
		return recipes.Count(c, 300).Encoder
	}
	c := recipes.Tiny()
	d, f := c.Main.Width, c.Main.FFN
	require.Equal(t, 2, c.Main.Layers)
	require.Equal(t, 64, d)
	require.Equal(t, 49_600+5*64-300*64, count("embeddings.kind=bytes")-count())
	require.Equal(t, 2*d*f, count()-count("main.layer_sharing=feed_forward"))
	layer := 4*(d*d+d) + (d*f + f) + (f*d + d) + 4*d
	require.Equal(t, layer, count()-count("main.layer_sharing=all"))
	require.Equal(t, 3*layer, count("main.layers=4")-count("main.layers=4", "main.layer_sharing=all"))
	one, four := recipes.Tiny(), recipes.Tiny()
	require.NoError(t, four.SetAll("main.layer_sharing=all", "generator.layers=2", "generator.layer_sharing=feed_forward"))
	require.NoError(t, one.SetAll("generator.layers=2"))
	require.Equal(t, recipes.TrainFLOPs(one, 300), recipes.TrainFLOPs(four, 300), "sharing saves weights, not operations")
}

// What layers share is as deep as the last that reads it, so that layer decay slows it as that one.
func TestSharedWeightsInTheInventory(t *testing.T) {
	m := small(t, "main.layer_sharing=feed_forward", "optimizer.layer_decay=0.5")
	inv := metro.Describe(m.Config, m.Vocab).ByPath()
	require.Equal(t, 2, inv["/main/layer_0/ffn_in/weights"].Depth)
	require.Equal(t, 1, inv["/main/layer_0/ffn_in/weights"].Again)
	require.Equal(t, 1, inv["/main/layer_0/ffn_in/bias"].Depth)
	require.Contains(t, inv, "/main/layer_1/ffn_in/bias")
	require.NotContains(t, inv, "/main/layer_1/ffn_in/weights")
	require.Contains(t, inv, "/main/layer_1/ffn_norm/gain")
}

// What cannot be is refused with the way out.
func TestRefusedSharing(t *testing.T) {
	for message, set := range map[string][]string{
		"main.layer_sharing=all is of layers with the dense map; set main.feed_forward=dense (it is moe), or main.layer_sharing=none": {"main.feed_forward=moe", "main.layer_sharing=all"},
		"positions.per_layer gives each layer a table of its own, and main.layer_sharing=all none; set positions.per_layer=false":     {"positions.per_layer=true", "main.layer_sharing=all"},
		"sharing=all makes the two one encoder: generator.layer_sharing is none and main.layer_sharing is all; make them equal":       {"sharing=all", "generator.size=same", "main.layer_sharing=all"},
		"embeddings.options.byte_width must be a multiple of 8, the heads that read bytes, it is 12":                                  {"embeddings.kind=bytes", "embeddings.options.byte_width=12"},
	} {
		c := recipes.Tiny()
		require.NoError(t, c.SetAll(set...))
		require.ErrorContains(t, c.Validate(), message)
	}
}

func TestModelsWithoutBytes(t *testing.T) {
	m := spelled(t)
	key := m.SpellingKey()
	m.Spelling.Bytes[5] = []byte(" A")
	require.NotEqual(t, key, m.SpellingKey(), "the bytes are built into the graph")
	require.Empty(t, small(t).SpellingKey())
	m.Spelling = layers.Spelling{}
	_, err := model.MustNewExec(backendtest.Go(t), model.NewStore(), func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{forward(m, scope, in).Loss}
	}).Call(smallBatch().args()...)
	require.ErrorContains(t, err, "byte-pooled vectors of 11 tokens need the bytes of each, and there are those of 0")
}
