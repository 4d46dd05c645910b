// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/randstream"
)

// Whatever the length of a text, its windows say it over again: [CLS] first in each, every token once and in order,
// padding only in the last, nothing beyond the limit.
func TestWindows(t *testing.T) {
	const cls, pad = 2, 0
	rng := randstream.New(0, "test")
	for _, seqLen := range []int{2, 5, 32} {
		w := &windows{seqLen: seqLen}
		var texts [][]int32
		for n := range 3 * seqLen {
			texts = append(texts, make([]int32, n))
		}
		texts = append(texts, make([]int32, maxWindows*(seqLen-1)), make([]int32, maxWindows*(seqLen-1)+1))
		for i, ids := range texts {
			for k := range ids {
				ids[k] = 5 + rng.Int32N(100)
			}
			w.add(i, ids, cls, pad)
		}
		require.Len(t, w.tokens, w.len()*seqLen)
		require.True(t, slices.IsSorted(w.text))
		for i, ids := range texts {
			var said []int32
			count := 0
			for row, text := range w.text {
				if text != i {
					continue
				}
				count++
				require.Equal(t, int32(cls), w.row(row)[0])
				body := w.row(row)[1:]
				if end := slices.Index(body, pad); end >= 0 {
					require.Equal(t, body[end:], make([]int32, len(body)-end), "only padding follows padding")
					require.True(t, row == w.len()-1 || w.text[row+1] != i, "padding in the middle of a text")
					body = body[:end]
				}
				said = append(said, body...)
			}
			require.Equal(t, min(maxWindows, max(1, (len(ids)+seqLen-2)/(seqLen-1))), count)
			limit := min(len(ids), maxWindows*(seqLen-1))
			require.True(t, slices.Equal(ids[:limit], said), "text %d of %d tokens", i, len(ids))
		}
	}
}
