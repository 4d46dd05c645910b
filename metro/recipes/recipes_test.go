// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
)

func TestNames(t *testing.T) {
	require.Equal(t, []string{
		"micro", "tiny", "mini", "electra-small", "electra-base", "electra-large", "cocolm-base", "cocolm-base++", "cocolm-large++",
		"metro-base", "metro-base++", "metro-large", "metro-large++", "fast-electra",
	}, recipes.Names())
}

func TestGet(t *testing.T) {
	for _, name := range recipes.Names() {
		c, err := recipes.Get(name)
		require.NoError(t, err)
		c.Main.Layers = -1 // a copy: nobody else's recipe changes
		again, err := recipes.Get(name)
		require.NoError(t, err)
		require.Positive(t, again.Main.Layers)
		require.Zero(t, again.Seed)
	}
	_, err := recipes.Get("Tiny")
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, `there is no recipe "Tiny"; there are micro, tiny, mini, electra-small`)
	_, err = recipes.Get("metro-xl")
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "metro-xl is a size for planning")
}

// Every recipe is valid as it stands but for fast-electra, which wants to be told of a generator.
func TestRecipesAreValid(t *testing.T) {
	for _, name := range recipes.Names() {
		c, err := recipes.Get(name)
		require.NoError(t, err)
		if name == "fast-electra" {
			require.ErrorContains(t, c.Validate(), "replacements.checkpoint")
			require.NoError(t, c.Set("replacements.checkpoint=runs/electra-base-0123456789"))
		}
		require.NoError(t, c.Validate(), name)
	}
}

// A header says what the model weighs, what a run costs and the command, and is right about the first two.
func TestHeaders(t *testing.T) {
	for _, r := range recipes.All() {
		c := r.Config()
		p, tokens := recipes.Count(c, c.Data.VocabSize), recipes.TrainTokens(c)
		about := strings.Join(strings.Fields(r.About()), " ") // lines are broken anywhere
		require.Contains(t, about, fmt.Sprintf("Parameters: %s in the encoder, %s with the RTD head; %s in the generator",
			thousands(p.Encoder), thousands(p.Encoder+p.RTDHead), thousands(p.Generator)), r.Name)
		cost := thousands(int(tokens))
		for unit, name := range map[float64]string{1e6: " million", 1e9: " billion"} {
			if tokens >= unit && tokens < 1000*unit || unit == 1e9 && tokens >= unit {
				cost = thousands(int(tokens/unit+0.5)) + name
			}
		}
		flops := strings.Replace(fmt.Sprintf("%.0e", recipes.TrainFLOPs(c, c.Data.VocabSize)), "e+", "e", 1)
		require.Contains(t, about, fmt.Sprintf("Cost: %s tokens, about %s floating-point operations", cost, strings.Replace(flops, "e0", "e", 1)), r.Name)
		require.Contains(t, about+" ", "The command: metro pretrain --recipe "+r.Name+" ", r.Name)
		require.NotEmpty(t, r.Certainty, r.Name)
	}
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
