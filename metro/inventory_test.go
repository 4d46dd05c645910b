// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/layers"
	"metrolab/metro"
)

func pathsOf(inv metro.Inventory) []string { return slices.Sorted(maps.Keys(inv.ByPath())) }

// What a weight is, from the config alone.
func TestDescribe(t *testing.T) {
	c := small(t, "sharing=gdes", "embeddings.token_types=2", "positions.per_layer=true", "main.norm=pre").Config
	weights := metro.Describe(c, 11).ByPath()
	for path, want := range map[string]metro.Weight{
		"/shared/token_embedding": {
			Owner: metro.OwnerShared, Place: metro.Place{Layer: -1, Part: "token_embedding"}, Shape: []int{11, 8}, Role: layers.RoleTable,
			ByMain: true, ByGenerator: true,
		},
		"/main/token_type_embedding_difference": {
			Owner: metro.OwnerMain, Place: metro.Place{Layer: -1, Part: "token_type_embedding_difference"}, Shape: []int{2, 8}, Role: layers.RoleTable,
			ByMain: true, Difference: true,
		},
		"/main/layer_1/attention/query/weights": {
			Owner: metro.OwnerMain, Place: metro.Place{Layer: 1, Part: "attention/query", Kind: "weights"}, Shape: []int{8, 8}, Role: layers.RoleDense,
			Depth: 2, ByMain: true,
		},
		"/main/layer_0/relative_position_table": {
			Owner: metro.OwnerMain, Place: metro.Place{Part: "relative_position_table"}, Shape: []int{8, 2}, Role: layers.RoleRelative,
			Depth: 1, ByMain: true,
		},
		"/main/final_norm/gain": {
			Owner: metro.OwnerMain, Place: metro.Place{Layer: -1, Part: "final_norm", Kind: "gain"}, Shape: []int{8}, Role: layers.RoleNorm,
			Depth: 2, ByMain: true,
		},
		"/main/scl/transform/bias": {
			Owner: metro.OwnerMain, Place: metro.Place{Head: metro.HeadSCL, Layer: -1, Part: "transform", Kind: "bias"}, Shape: []int{8}, Role: layers.RoleBias,
			Depth: 3, ByMain: true,
		},
		"/generator/embedding_projection/weights": {
			Owner: metro.OwnerGenerator, Place: metro.Place{Layer: -1, Part: "embedding_projection", Kind: "weights"}, Shape: []int{8, 6}, Role: layers.RoleDense,
			ByGenerator: true,
		},
		"/generator/head/output_bias": {
			Owner: metro.OwnerGenerator, Place: metro.Place{Head: metro.HeadGenerator, Layer: -1, Part: "output_bias"}, Shape: []int{11}, Role: layers.RoleBias,
			Depth: 2, ByGenerator: true,
		},
	} {
		got := weights[path]
		require.NotNil(t, got.Init, path)
		got.Init = nil
		require.Equal(t, want, got, path)
	}
	require.Equal(t, "main.layer_1.attention.query.weights", weights["/main/layer_1/attention/query/weights"].Tensor())

	inv := metro.Describe(c, 11)
	require.Equal(t, inv.Count(), inv.Of(metro.OwnerMain).Count()+inv.Where(func(w metro.Weight) bool { return !w.ByMain }).Count())
	require.Equal(t, 4*inv.Count(), inv.Bytes())
	d, ok := inv.DifferenceOf(weights["/shared/position_embedding"])
	require.True(t, ok)
	require.Equal(t, "/main/position_embedding_difference", d.Path())
	_, ok = inv.DifferenceOf(weights["/main/final_norm/gain"])
	require.False(t, ok)
	require.PanicsWithValue(t, "metro: /main/embedding_norm/gain and /generator/embedding_norm/gain have the same place; ask for one model's weights",
		func() { inv.ByPlace() })
}

// Both models have the same places, whatever they share, when they have the same shape; what they share is one weight.
func TestCounterparts(t *testing.T) {
	shared := map[string]int{ // weights that both read, of 3 tables, an embedding norm, and the rest
		metro.SharingNone: 0, metro.SharingToken: 1, metro.SharingTokenPosition: 3, metro.SharingGDES: 3, metro.SharingTokenPositionNorm: 5, metro.SharingAll: 5 + 1 + 2*16,
	}
	for sharing, n := range shared {
		c := small(t, "embeddings.token_types=2").Config
		c.Generator, c.Sharing = c.Main, sharing
		inv := metro.Describe(c, 11)
		main := inv.Of(metro.OwnerMain).Encoder().Where(func(w metro.Weight) bool { return !w.Difference }).ByPlace()
		generator := inv.Of(metro.OwnerGenerator).Encoder().ByPlace()
		require.ElementsMatch(t, slices.Collect(maps.Keys(main)), slices.Collect(maps.Keys(generator)), sharing)
		same := 0
		for place, w := range main {
			if generator[place].Path() == w.Path() {
				same++
			}
		}
		require.Equal(t, n, same, sharing)
	}
}

// Which heads there are, and whether there is a generator, follows from objective and source.
func TestInventoryOfObjectives(t *testing.T) {
	for assignments, want := range map[[2]string][]string{
		{"objective.name=mlm", "sharing=token"}:                          {"lm"},
		{"objective.name=replace_mlm", "sharing=token"}:                  {"head", "lm"},
		{"objective.name=rtd_clm_exits", "main.layers=4"}:                {"clm", "head", "rtd", "rtd_1", "rtd_2", "rtd_3"},
		{"objective.name=rtd", "replacements.source=uniform"}:            {"rtd"},
		{"objective.name=rtd_masked", "sharing=token"}:                   {"head", "rtd"},
		{"objective.name=all_token_lm", "sharing=token"}:                 {"head", "lm", "rtd"},
		{"objective.name=rtd_clm_scl", "sharing=token"}:                  {"clm", "head", "rtd", "scl"},
		{"objective.name=rtd_clm_scl", "objective.clm=without_copy"}:     {"clm", "head", "scl"},
		{"objective.name=rtd_clm_mist", "sharing=token"}:                 {"clm", "head", "rtd"},
		{"objective.name=rtd", "objective.clm=without_copy"}:             {"head", "rtd"},
		{"objective.name=rtd_clm", "evaluation.metrics=tie_cosine"}:      {"clm", "head", "rtd"},
		{"objective.name=rtd_clm", "optimizer.groups=main: lr=0.5"}:      {"clm", "head", "rtd"},
		{"objective.name=replace_mlm", "replacements.source=unigram"}:    {"lm"},
		{"objective.name=all_token_lm", "replacements.source=unigram"}:   {"lm", "rtd"},
		{"objective.name=rtd_masked", "masking.with_replacement=true"}:   {"head", "rtd"},
		{"objective.name=rtd_clm", "training.accumulate=2"}:              {"clm", "head", "rtd"},
		{"objective.name=rtd_clm", "training.matmul=bfloat16"}:           {"clm", "head", "rtd"},
		{"objective.name=rtd_clm", "objective.generator_head=norm"}:      {"clm", "head", "rtd"},
		{"objective.name=rtd_clm", "replacements.disallow_correct=true"}: {"clm", "head", "rtd"},
	} {
		inv, complete := small(t, assignments[0], assignments[1]).Config.Inventory(11)
		require.True(t, complete, assignments)
		names := map[string]bool{}
		for _, w := range inv {
			if w.Head != "" {
				names[w.Head] = true
			}
		}
		require.Equal(t, want, slices.Sorted(maps.Keys(names)), "%v", assignments)
	}
	for _, foreign := range []string{"objective.name=rtd_confident", "replacements.source=square_root", "evaluation.metrics=sure"} {
		inv, complete := small(t, foreign).Config.Inventory(11)
		require.False(t, complete, foreign)
		require.Equal(t, pathsOf(metro.Describe(small(t).Config, 11)), pathsOf(inv), foreign)
	}
}

// V is the rows of the token table, whatever else is of that size.
func TestVocabSize(t *testing.T) {
	c := small(t).Config
	tensors := map[string][]int{}
	for _, w := range metro.Describe(c, 123) {
		tensors[w.Tensor()] = w.Shape
	}
	shape := func(name string) ([]int, bool) { dims, ok := tensors[name]; return dims, ok }
	require.Equal(t, 123, metro.VocabSize(c, shape))
	delete(tensors, "shared.token_embedding")
	require.Zero(t, metro.VocabSize(c, shape))
}

func ExampleDescribe() {
	var c metro.Config
	c.Main = metro.Encoder{Layers: 12, Width: 768, Heads: 12, FFN: 3072}
	c.Positions = metro.Positions{Absolute: true, Rows: 512, Relative: metro.RelativeNone}
	encoder := metro.Describe(c, 30_522).Of(metro.OwnerMain).Encoder()
	for _, w := range encoder[:3] {
		fmt.Println(w.Path(), w.Shape, w.Role)
	}
	fmt.Println(encoder.Count(), "weights")
	// Output:
	// /shared/token_embedding [30522 768] table
	// /shared/position_embedding [512 768] table
	// /main/embedding_norm/gain [768] norm
	// 108890112 weights
}
