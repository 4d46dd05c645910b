// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// The estimate is of the weights that there are, and of those that no machine could list.
func TestParametersAreThoseOfTheInventory(t *testing.T) {
	for _, r := range recipes.All() {
		c := r.Config()
		require.InEpsilon(t, float64(metro.Describe(c, c.Data.VocabSize).Count()), c.Parameters(c.Data.VocabSize), 1e-9, r.Name)
		weights, step := c.Memory(c.Data.VocabSize)
		require.InEpsilon(t, 16*c.Parameters(c.Data.VocabSize), weights, 0.3, r.Name)
		require.Positive(t, step)
	}
}

// Whatever size is absurd, it is refused as the user's, with the numbers, before anything is made of it.
func TestImpossibleSizesAreRefused(t *testing.T) {
	for _, huge := range []int{1 << 33, 1 << 39, 1 << 62, math.MaxInt64} {
		for _, path := range []string{
			"data.vocab_size", "data.seq_len", "embeddings.width", "embeddings.token_types", "main.layers", "main.width", "main.heads", "main.ffn",
			"generator.layers", "generator.width", "generator.heads", "generator.ffn", "positions.rows", "positions.bins", "training.batch_size", "training.accumulate",
			"evaluation.rows", "training.steps",
		} {
			c := recipes.Tiny()
			c.Positions.Absolute = true
			require.NoError(t, c.Set(fmt.Sprintf("%s=%d", path, huge)))
			err := c.Validate()
			if err == nil {
				err = fits(c, 64<<30)
			}
			if path == "training.steps" && huge < most {
				require.NoError(t, err, "long is not large")
				continue
			}
			require.True(t, usererr.Is(err), "%s=%d: %v", path, huge, err)
		}
	}
	c := recipes.Tiny()
	require.NoError(t, fits(c, 1<<30))
	require.NoError(t, fits(c, 0), "nothing is known")
	c.Main.Width = 4_000_000_000
	require.ErrorContains(t, fits(c, 16e9), "this machine has 16 GB")
	require.ErrorContains(t, fits(c, 16e9), "GB at least")
}

const most = 1 << 40

// What a backend says that has no memory left is the user's to mend; nothing else is.
func TestOutOfMemoryIsTheUsers(t *testing.T) {
	require.True(t, usererr.Is(outOfMemory(errors.New("RESOURCE_EXHAUSTED: Out of memory allocating 17 bytes"))))
	require.False(t, usererr.Is(outOfMemory(errors.New("no kernel"))))
	require.NoError(t, outOfMemory(nil))
}
