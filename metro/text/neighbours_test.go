// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSimilarity(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"one two three four five", "One, two; three: four. FIVE!", 1},
		{"one two three four five six", "one two three four five seven", 1. / 3},
		{"one two three four five six", "six five four three two one", 0},
		{"one two", "one two", 1},
		{"one two", "one two three", 0},
		{"", "", 1},
		{"漢字漢語漢文", "漢字漢語漢詩", 1. / 3},
		{"one two three four five one two three four five", "one two three four five", 1. / 5},
	} {
		require.InDelta(t, c.want, Similarity(c.a, c.b), 1e-12, "%q, %q", c.a, c.b)
		require.InDelta(t, c.want, Similarity(c.b, c.a), 1e-12, "%q, %q", c.b, c.a)
	}
}

// family is a paragraph, one with a word changed at its end, and one with the half of it changed.
func family(rng *rand.Rand) []string {
	words := make([]string, 40)
	for i := range words {
		words[i] = fmt.Sprintf("w%d", rng.IntN(5000))
	}
	near, far := slices.Clone(words), slices.Clone(words)
	near[39] = "changed"
	for i := range 20 {
		far[2*i] = fmt.Sprintf("x%d", rng.IntN(5000))
	}
	return []string{strings.Join(words, " "), strings.Join(near, " "), strings.Join(far, " ")}
}

// What the index finds is what comparing all pairs finds; the corpus without it has none, and the same held-out texts.
func TestNeighbours(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var prose strings.Builder
	for range 200 {
		prose.WriteString(strings.Join(family(rng), "\n\n") + "\n\n")
	}
	cache := t.TempDir()
	c, err := Prepare(t.Context(), filepath.Join(writeTree(t, map[string]string{"a.txt": prose.String()}), "a.txt"), cache, nil)
	require.NoError(t, err)
	texts := func(c *Corpus, split Split) (texts []string) {
		var failure error
		texts = slices.Collect(c.Texts(t.Context(), split, &failure))
		require.NoError(t, failure)
		return texts
	}
	want := Neighbours{Compared: map[Split]int64{}, Found: map[Split]int64{}}
	near := map[string]bool{}
	for _, split := range []Split{Validation, Test} {
		for _, heldOut := range texts(c, split) {
			want.Compared[split]++
			found := false
			for _, trained := range texts(c, Train) {
				if Similarity(heldOut, trained) >= 0.5 {
					found, near[trained] = true, true
				}
			}
			if found {
				want.Found[split]++
			}
		}
	}
	got, err := c.Neighbours(t.Context(), 0.5, nil)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NotZero(t, got.Found[Validation])
	require.NotZero(t, got.Found[Test])

	apart, err := c.WithoutNeighbours(t.Context(), 0.5, Options{CacheDir: cache})
	require.NoError(t, err)
	require.NoError(t, apart.Verify())
	require.Equal(t, slices.DeleteFunc(texts(c, Train), func(s string) bool { return near[s] }), texts(apart, Train))
	for _, split := range []Split{Validation, Test} {
		require.Equal(t, texts(c, split), texts(apart, split))
	}
	require.EqualValues(t, len(near), apart.Stats.Neighbours)
	require.NotEqual(t, c.Hash, apart.Hash)
	got, err = apart.Neighbours(t.Context(), 0.5, nil)
	require.NoError(t, err)
	require.Empty(t, got.Found)
	require.Equal(t, want.Compared, got.Compared)

	progress, calls := count()
	again, err := c.WithoutNeighbours(t.Context(), 0.5, Options{CacheDir: cache, Progress: progress})
	require.NoError(t, err)
	require.Zero(t, *calls, "it is in the cache")
	require.Equal(t, apart, again)
	all, err := c.WithoutNeighbours(t.Context(), 1, Options{CacheDir: cache})
	require.NoError(t, err)
	require.Equal(t, c.Hash, all.Hash, "nothing is left out")
	require.Equal(t, 3, len(slices.Collect(maps.Keys(c.Stats.Splits))))
}
