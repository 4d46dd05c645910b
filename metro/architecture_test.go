// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// Which variables a switch adds and takes away, against the model without it, and their shapes.
func TestSwitchesMakeTheirVariables(t *testing.T) {
	be := backendtest.Go(t)
	base := paths(fresh(be, small(t)))
	for set, want := range map[string]string{
		"positions.absolute=false":                             "-/shared/position_embedding",
		"positions.relative=none":                              "-/main/relative_position_table -/generator/relative_position_table",
		"positions.relative=t5":                                "",
		"positions.relative=none positions.per_layer=true":     "-/main/relative_position_table -/generator/relative_position_table",
		"positions.per_layer=true":                             "-/main/relative_position_table -/generator/relative_position_table /main/layer_0/relative_position_table /main/layer_1/relative_position_table /generator/layer_0/relative_position_table",
		"main.norm=pre":                                        "/main/final_norm/gain /main/final_norm/offset",
		"generator.norm=pre":                                   "/generator/final_norm/gain /generator/final_norm/offset",
		"main.activation=relu":                                 "",
		"embeddings.token_types=2":                             "/shared/token_type_embedding",
		"embeddings.width=8":                                   "",
		"objective.rtd_head=linear":                            "-/main/rtd/transform/weights -/main/rtd/transform/bias",
		"objective.generator_head=norm":                        "/generator/head/norm/gain /generator/head/norm/offset",
		"objective.rtd_zero_init=false":                        "",
		"embeddings.width=6":                                   "-/generator/embedding_projection/weights -/generator/embedding_projection/bias /main/embedding_projection/weights /main/embedding_projection/bias /main/clm/projection/weights /main/clm/projection/bias",
		"training.activation_checkpointing=true":               "",
		"replacements.dropout=eval generator.dropout=0.1":      "",
		"masking.with_replacement=true main.dropout=0.1":       "",
		"replacements.source=uniform objective.clm=weighted":   "-/generator",
		"main.init=t5 main.init_scale=depth generator.init=t5": "",
	} {
		got := paths(fresh(be, small(t, strings.Fields(set)...)))
		var added, gone []string
		for _, path := range got {
			if !slices.Contains(base, path) {
				added = append(added, path)
			}
		}
		for _, path := range base {
			if !slices.Contains(got, path) {
				gone = append(gone, path)
			}
		}
		if want == "-/generator" {
			require.Empty(t, added)
			require.NotEmpty(t, gone)
			for _, path := range got {
				require.False(t, strings.HasPrefix(path, "/generator/"), path)
			}
			continue
		}
		for i, path := range gone {
			gone[i] = "-" + path
		}
		require.ElementsMatch(t, strings.Fields(want), append(added, gone...), set)
	}
}

func TestShapes(t *testing.T) {
	be := backendtest.Go(t)
	store := fresh(be, small(t, "embeddings.width=5", "embeddings.token_types=3", "positions.per_layer=true", "sharing=none"))
	for path, want := range map[string][]int{
		"/shared/token_embedding": {11, 5}, "/shared/position_embedding": {8, 5}, "/shared/token_type_embedding": {3, 5},
		"/generator/token_embedding": {11, 5}, "/generator/position_embedding": {8, 5}, "/generator/token_type_embedding": {3, 5},
		"/main/embedding_norm/gain": {5}, "/main/embedding_projection/weights": {5, 8}, "/generator/embedding_projection/weights": {5, 6},
		"/main/layer_1/relative_position_table": {8, 2}, "/generator/layer_0/relative_position_table": {8, 3},
		"/generator/head/transform/weights": {6, 5}, "/generator/head/output_bias": {11},
		"/main/clm/projection/weights": {8, 5}, "/main/clm/output_bias": {11},
		"/main/rtd/transform/weights": {8, 8}, "/main/rtd/output/weights": {8, 1}, "/main/rtd/output/bias": {1},
	} {
		v := store.GetVariable(path)
		require.NotNil(t, v, path)
		require.Equal(t, want, v.Shape().Dimensions, path)
	}
}

// loss is the total at given weights.
func lossOf(t *testing.T, m metro.Model, share ...metro.Model) float64 {
	t.Helper()
	be := backendtest.Go(t)
	return number(call(be, shaken(be, append(share, m)...), m, smallBatch(), func(p *metro.Pass) []*Node { return []*Node{Identity(p.Loss)} })[0])
}

// What is multiplied by 0 is not there; what is there matters.
func TestPositionsMatter(t *testing.T) {
	plain := small(t, "positions.relative=none")
	for _, relative := range []string{"signed_log", "t5"} {
		for _, perLayer := range []string{"false", "true"} {
			with := small(t, "positions.relative="+relative, "positions.per_layer="+perLayer)
			without := small(t, "positions.relative="+relative, "positions.per_layer="+perLayer, "positions.scale=0")
			require.Equal(t, lossOf(t, plain, with), lossOf(t, without, with))
			require.NotEqual(t, lossOf(t, plain, with), lossOf(t, with))
		}
	}
	require.NotEqual(t, lossOf(t, small(t)), lossOf(t, small(t, "positions.relative=t5")), "one table, other buckets")
	absolute, none := small(t), small(t, "positions.absolute=false")
	require.NotEqual(t, lossOf(t, absolute), lossOf(t, none, absolute))
}

// With one table for all layers or the same table in each, the numbers are the same; with different ones not.
func TestTablesPerLayer(t *testing.T) {
	be := backendtest.Go(t)
	one, each := small(t), small(t, "positions.per_layer=true")
	store := shaken(be, one, each)
	loss := func(m metro.Model) float64 {
		return number(call(be, store, m, smallBatch(), func(p *metro.Pass) []*Node { return []*Node{Identity(p.Loss)} })[0])
	}
	require.NotEqual(t, loss(one), loss(each))
	for _, room := range []string{"/main", "/generator"} {
		table := flat(store.GetVariable(room + "/relative_position_table").MustValue())
		for _, v := range variables(store) {
			if strings.HasPrefix(v.Path(), room+"/layer_") && strings.HasSuffix(v.Path(), "relative_position_table") {
				setValue(v, table)
			}
		}
	}
	require.Equal(t, loss(one), loss(each))
}

// A position table longer than the rows gives what its beginning gives, and nothing learns behind that.
func TestLongerPositionTable(t *testing.T) {
	be := backendtest.Go(t)
	short, long := small(t), small(t, "positions.rows=12")
	store := shaken(be, long)
	wide := flat(store.GetVariable("/shared/position_embedding").MustValue())
	require.Len(t, wide, 12*8)
	loss, slopes := gradients(be, store, long, total)
	require.NotZero(t, norm(slopes[0]["/shared/position_embedding"][:8*8]))
	require.Zero(t, norm(slopes[0]["/shared/position_embedding"][8*8:]))

	cut := fresh(be, short)
	for _, v := range variables(cut) {
		setValue(v, flat(store.GetVariable(v.Path()).MustValue())[:v.Shape().Size()])
	}
	same, _ := gradients(be, cut, short, total)
	require.Equal(t, loss, same)
}

// Without positions of any kind the model does not know the order of a row's tokens.
func TestWithoutPositionsOrderIsUnknown(t *testing.T) {
	for set, known := range map[string]bool{
		"positions.absolute=false positions.relative=none": false,
		"positions.absolute=false":                         true,
		"positions.relative=none":                          true,
	} {
		m := small(t, strings.Fields(set)...)
		store := shaken(backendtest.Go(t), m)
		a := detect(t, store, m, [][]int32{{2, 5, 6, 7, 8, 9, 10, 3}})[0]
		b := detect(t, store, m, [][]int32{{2, 8, 9, 6, 5, 10, 7, 3}})[0]
		moved := []float64{b[0], b[4], b[3], b[6], b[1], b[2], b[5], b[7]}
		difference := 0.0
		for i := range a {
			difference = max(difference, math.Abs(a[i]-moved[i]))
		}
		require.Equal(t, known, difference > 1e-9, "%s: %g", set, difference)
	}
}

// Recomputing the layers changes neither the loss nor any gradient, with dropout on.
func TestActivationCheckpointingChangesNothing(t *testing.T) {
	be := backendtest.Go(t)
	plain := small(t, "main.dropout=0.3")
	again := small(t, "main.dropout=0.3", "training.activation_checkpointing=true")
	key := []uint64{1, 2, 3}
	wantLoss, want := analytic(be, shaken(be, plain), plain, smallBatch(), key)
	loss, got := analytic(be, shaken(be, again), again, smallBatch(), key)
	require.InDelta(t, wantLoss, loss, 1e-12)
	for path := range want {
		require.InDeltaSlice(t, want[path], got[path], 1e-9*max(1, norm(want[path])), path)
	}
}

// deviation is the root mean square of a variable's first values.
func deviation(t *testing.T, m metro.Model, path string) float64 {
	t.Helper()
	v := fresh(backendtest.Go(t), m).GetVariable(path)
	require.NotNil(t, v, path)
	values := flat(v.MustValue())
	return norm(values) / math.Sqrt(float64(len(values)))
}

// The size of the first weights, by the initialiser: of a dense map that reads the stream, of one that writes into it,
// and of the token table. The truncated normal's deviation is 0.8796 of its σ.
func TestInitialisers(t *testing.T) {
	const in, width, ffn, layers = "/main/layer_1/ffn_in/weights", 64.0, 128.0, 2.0
	const out, attention, table = "/main/layer_1/ffn_out/weights", "/main/layer_0/attention/output/weights", "/shared/token_embedding"
	shape := []string{"main.width=64", "main.ffn=128", "generator.width=64", "generator.heads=2"}
	for set, want := range map[string]map[string]float64{
		"main.init=normal":                           {in: 0.02, out: 0.02, table: 0.02},
		"main.init=truncated":                        {in: 0.8796 * 0.02, table: 0.8796 * 0.02},
		"main.init=fan_in":                           {in: 1 / math.Sqrt(width), out: 1 / math.Sqrt(ffn), table: 0.02},
		"main.init=t5":                               {in: 1 / math.Sqrt(2*ffn), out: 1 / math.Sqrt(2*width), table: 1 / math.Sqrt(2*width)},
		"main.init=normal main.init_scale=depth":     {in: 0.02, out: 0.02 / math.Sqrt(2*layers), attention: 0.02 / math.Sqrt(2*layers)},
		"main.init=normal generator.init=fan_in":     {in: 0.02, "/generator/layer_0/ffn_in/weights": 1 / math.Sqrt(width)},
		"main.init=fan_in objective.rtd_zero_init=1": {"/main/rtd/output/weights": 0, "/main/rtd/transform/weights": 1 / math.Sqrt(width)},
	} {
		m := small(t, append(shape, strings.Fields(set)...)...)
		for path, deviates := range want {
			require.InDelta(t, deviates, deviation(t, m, path), 0.08*deviates, "%s, %s", set, path)
		}
	}
}
