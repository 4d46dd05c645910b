// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
)

func TestNames(t *testing.T) {
	require.Equal(t, []string{
		"micro", "tiny", "mini", "babylm-small", "electra-small", "electra-base", "electra-large", "cocolm-base", "cocolm-base++", "cocolm-large++",
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
	require.ErrorContains(t, err, `there is no recipe "Tiny"; there are micro, tiny, mini, babylm-small`)
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
		flops := strings.NewReplacer("e+0", "e", "e+", "e").Replace(fmt.Sprintf("%.0e", recipes.TrainFLOPs(c, c.Data.VocabSize)))
		require.Contains(t, about, fmt.Sprintf("Cost: %s tokens, about %s floating-point operations", inWords(tokens), flops), r.Name)
		require.Contains(t, about+" ", "The command: metro pretrain --recipe "+r.Name+" ", r.Name)
		require.NotEmpty(t, r.Certainty, r.Name)
	}
}

// inWords is a number of tokens as headers write it.
func inWords(n float64) string {
	switch {
	case n >= 1e9:
		return thousands(int(math.Round(n/1e9))) + " billion"
	case n >= 1e6:
		return thousands(int(math.Round(n/1e6))) + " million"
	default:
		return thousands(int(n))
	}
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
