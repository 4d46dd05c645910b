// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/masking"
	"metrolab/metro/recipes"
)

// The names that a config has for patterns. What is drawn without replacement only is not drawn with it.
func TestPatternsByName(t *testing.T) {
	ids := []int32{2, 9, 15, 16, 8, 7, 20, 9, 9, 9, 9, 3}
	for _, test := range []struct {
		name  string
		again bool
		want  masking.Func
	}{
		{"independent", false, masking.Independent}, {"independent", true, masking.WithReplacement},
		{"whole_word", false, masking.WholeWord}, {"span", false, masking.Span},
	} {
		c := recipes.Tiny()
		c.Masking.Pattern, c.Masking.WithReplacement = test.name, test.again
		require.NoError(t, c.Validate())
		for seed := range uint64(20) {
			draw := func(f masking.Func) []int32 {
				candidates := masking.Candidates(ids, func(id int32) bool { return id >= 5 })
				positions := make([]int32, 5)
				row := masking.Row{IDs: ids, Candidates: candidates, Continues: func(id int32) bool { return id >= 15 }}
				return positions[:f(rand.New(rand.NewPCG(seed, 0)), row, positions)]
			}
			require.Equal(t, draw(test.want), draw(c.MaskPattern()), test.name)
		}
	}
	for _, test := range []struct {
		name  string
		again bool
		want  string
	}{
		{"words", false, "\"words\""},
		{"span", true, `masking.with_replacement draws single positions; it needs masking.pattern=independent, which is "span"`},
		{"whole_word", true, `which is "whole_word"`},
	} {
		c := recipes.Tiny()
		c.Masking.Pattern, c.Masking.WithReplacement = test.name, test.again
		err := c.Validate()
		require.ErrorContains(t, err, test.want)
		require.True(t, usererr.Is(err))
	}
}
