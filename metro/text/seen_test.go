// SPDX-License-Identifier: Apache-2.0

package text

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A paragraph of one's own text stands once, wherever else it stands; a refrain as often as it is sung.
func TestDuplicatesOfOwnText(t *testing.T) {
	const long, refrain = "This paragraph is longer than any refrain, and stands in two places.", "Nevermore."
	dir := writeTree(t, map[string]string{
		"a.txt": strings.Join([]string{long, refrain, "one", refrain, strings.ToUpper(long), long}, "\n\n"),
		"b.txt": strings.ReplaceAll(long, " ", " \n ") + "\n\ntwo\n\n" + refrain + "\n",
	})
	c, err := prepare(t, dir)
	require.NoError(t, err)
	require.EqualValues(t, 2, c.Stats.Duplicates)
	require.EqualValues(t, 7, c.Stats.Total().Documents)
	require.Equal(t, []string{"2 paragraphs of the text stood there before, word for word, and are left out (those of fewer than 64 bytes, as refrains and headings are, stay)"}, c.Notes)
	found := documents(t, c)
	require.Len(t, found, 5)
	require.Contains(t, found, strings.ToUpper(long), "another text")

	c, err = prepare(t, filepath.Join(dir, "b.txt"))
	require.NoError(t, err)
	require.Zero(t, c.Stats.Duplicates)
	require.Empty(t, c.Notes)
}

// However little of a set is in memory, it is that set, and leaves no file.
func TestKeySet(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, most := range []int{1, 7, 1500, keysInMemory} {
		set, want := newKeySet(dir), map[uint64]bool{}
		set.most = most
		n := min(8000, 60*most)
		for range n {
			key := rng.Uint64N(uint64(n)) << 50
			added, err := set.add(key)
			require.NoError(t, err)
			require.Equal(t, !want[key], added)
			want[key] = true
		}
		require.Len(t, set.runs, len(want)/most)
		require.NoError(t, set.close())
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Empty(t, left)
	}
}
