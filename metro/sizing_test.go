// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// The generators of the published models, by the rule that their papers or code size them with.
func TestSizeGenerator(t *testing.T) {
	shape := func(layers, width, heads, ffn int) metro.Encoder {
		return metro.Encoder{Layers: layers, Width: width, Heads: heads, FFN: ffn, Activation: "gelu", Dropout: 0.1, Epsilon: 1e-5}
	}
	for _, test := range []struct {
		name, rule string
		main, want metro.Encoder
	}{
		{"ELECTRA small", "narrow_quarter", shape(12, 256, 4, 1024), shape(12, 64, 1, 256)},
		{"ELECTRA small as released", "same", shape(12, 256, 4, 1024), shape(12, 256, 4, 1024)},
		{"ELECTRA base", "narrow_third", shape(12, 768, 12, 3072), shape(12, 256, 4, 1024)},
		{"ELECTRA large", "narrow_quarter", shape(24, 1024, 16, 4096), shape(24, 256, 4, 1024)},
		{"COCO-LM base", "shallow_third", shape(12, 768, 12, 3072), shape(4, 768, 12, 3072)},
		{"COCO-LM large", "shallow_quarter", shape(24, 1024, 16, 4096), shape(6, 1024, 16, 4096)},
		{"one layer is the least", "shallow_quarter", shape(1, 64, 2, 128), shape(1, 64, 2, 128)},
		{"one head is the least", "narrow_quarter", shape(2, 64, 1, 200), shape(2, 16, 1, 50)},
	} {
		got, err := metro.SizeGenerator(test.main, test.rule)
		require.NoError(t, err)
		require.Equal(t, test.want, got, test.name)
	}
	_, err := metro.SizeGenerator(shape(1, 64, 1, 128), "tiny")
	require.True(t, usererr.Is(err))
	require.EqualError(t, err, `there is no sizing rule "tiny"; there are ["narrow_quarter" "narrow_third" "same" "shallow_quarter" "shallow_third"]`)
}

// Whatever the width, the ratio and the rule, heads divide the width, nothing is 0, a width is missed by half a head's
// rounding at most, and what is not shape stays.
func TestNarrowAlwaysFits(t *testing.T) {
	for width := 1; width <= 96; width++ {
		for heads := 1; heads <= width; heads++ {
			if width%heads != 0 {
				continue
			}
			e := metro.Encoder{Layers: 3, Width: width, Heads: heads, FFN: 3 * width, Activation: "relu", Init: metro.InitT5}
			require.Equal(t, e, metro.Narrow(e, 1))
			for _, ratio := range []float64{0.05, 0.25, 1. / 3, 0.5, 0.9, 1.5, 4} {
				got := metro.Narrow(e, ratio)
				require.Zero(t, got.Width%got.Heads, "%d heads of %d at %g", heads, width, ratio)
				require.Positive(t, got.Heads)
				require.Equal(t, 3*got.Width, got.FFN)
				require.InDelta(t, float64(width)*ratio, float64(got.Width), 0.5+max(0.5, float64(got.Heads)/2))
				got.Width, got.Heads, got.FFN = e.Width, e.Heads, e.FFN
				require.Equal(t, e, got)
			}
		}
	}
}

// The assignment that narrows the main model changes its shape and nothing else.
func TestSetNarrowsTheMainModel(t *testing.T) {
	base := recipes.Tiny() // 2 layers of width 64, 4 heads, ffn 128
	c := base
	require.NoError(t, c.Set("main.width_ratio=0.5"))
	require.Equal(t, [4]int{2, 32, 2, 64}, [4]int{c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN})
	c.Main = base.Main
	require.Equal(t, base, c)
	require.NoError(t, c.SetAll("main.width_ratio=0.5", "generator.width_ratio=1"))
	require.Equal(t, [4]int{1, 32, 2, 64}, [4]int{c.Generator.Layers, c.Generator.Width, c.Generator.Heads, c.Generator.FFN})
}

// Those that stand for several of the generator's fields change its shape and nothing else.
func TestSetSizesTheGenerator(t *testing.T) {
	base := recipes.Tiny() // 2 layers of width 64, 4 heads, ffn 128; a generator of 1
	base.Generator.Activation = "relu"
	for assignment, want := range map[string][4]int{
		"generator.size=same":              {2, 64, 4, 128},
		"generator.size=narrow_quarter":    {2, 16, 1, 32},
		"generator.size=shallow_third":     {1, 64, 4, 128},
		" generator.width_ratio = 0.5 ":    {1, 32, 2, 64},
		"generator.width_ratio=1":          {1, 64, 4, 128},
		"generator.width_ratio=0.33333333": {1, 21, 1, 42},
	} {
		c := base
		require.NoError(t, c.Set(assignment))
		g := &c.Generator
		require.Equal(t, want, [4]int{g.Layers, g.Width, g.Heads, g.FFN}, assignment)
		g.Layers, g.Width, g.Heads, g.FFN = base.Generator.Layers, base.Generator.Width, base.Generator.Heads, base.Generator.FFN
		require.Equal(t, base, c, assignment)
	}
	for assignment, want := range map[string]string{
		"generator.size=half":        `generator.size: there is no sizing rule "half"; there are`,
		"generator.width_ratio=":     `generator.width_ratio wants a number above 0, at most 4, not ""`,
		"generator.width_ratio=0":    `not "0"`,
		"generator.width_ratio=NaN":  `not "NaN"`,
		"generator.width_ratio=5":    `not "5"`,
		"generator.width_ratio=-0.5": `not "-0.5"`,
		"main.width_ratio=no":        `main.width_ratio wants a number above 0, at most 4, not "no"`,
		"generator.width_rato=0.5":   `did you mean "generator.width_ratio"?`,
		"generator.sise=same":        `did you mean "generator.size"?`,
	} {
		c := base
		err := c.Set(assignment)
		require.True(t, usererr.Is(err), assignment)
		require.ErrorContains(t, err, want)
		require.Equal(t, base, c)
	}
}
