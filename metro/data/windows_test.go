// SPDX-License-Identifier: Apache-2.0

package data

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/randstream"
	"metrolab/metro/tokens"
)

var testSpecial = tokens.Special{PAD: testPad, UNK: 1, CLS: testCLS, SEP: testSEP, MASK: testMask}

// Whatever the length of a text, its windows say it over again: [CLS] first in each, every token once and in order,
// padding only in the last, nothing beyond the limit.
func TestWindows(t *testing.T) {
	const limit = 16
	rng := randstream.New(0, "test")
	for _, seqLen := range []int{2, 5, 32} {
		cut := Windows{SeqLen: seqLen, Special: testSpecial, Limit: limit}
		var texts [][]int32
		for n := range 3 * seqLen {
			texts = append(texts, make([]int32, n))
		}
		texts = append(texts, make([]int32, limit*(seqLen-1)), make([]int32, limit*(seqLen-1)+1))
		for i, ids := range texts {
			for k := range ids {
				ids[k] = 5 + rng.Int32N(100)
			}
			var said []int32
			windows := cut.Cut(i, ids)
			for row, w := range windows {
				require.Equal(t, i, w.Text)
				require.Len(t, w.Tokens, seqLen)
				require.Equal(t, int32(testCLS), w.Tokens[0])
				body := w.Tokens[1:]
				if end := slices.Index(body, testPad); end >= 0 {
					require.Equal(t, body[end:], make([]int32, len(body)-end), "only padding follows padding")
					require.Equal(t, len(windows)-1, row, "padding in the middle of a text")
					body = body[:end]
				}
				require.Equal(t, []int{len(said), len(said) + len(body)}, []int{w.From, w.To})
				said = append(said, body...)
			}
			require.Len(t, windows, min(limit, max(1, (len(ids)+seqLen-2)/(seqLen-1))))
			most := min(len(ids), limit*(seqLen-1))
			require.True(t, slices.Equal(ids[:most], said), "text %d of %d tokens", i, len(ids))
		}
	}
}

// Each token of a text of any length is answered once, from a window that shows it, at least a quarter of a row from
// the window's ends unless the text ends there.
func TestWindowsAnswerForEachTokenOnce(t *testing.T) {
	for _, s := range []int{4, 5, 16, 17} {
		cut := Windows{SeqLen: s, Special: testSpecial, Closed: true, Overlap: true}
		for n := range 70 {
			ids := make([]int32, n)
			for i := range ids {
				ids[i] = int32(100 + i)
			}
			var answered []int32
			for _, w := range cut.Cut(0, ids) {
				require.Len(t, w.Tokens, s)
				require.EqualValues(t, testCLS, w.Tokens[0])
				for at := w.From; at < w.To; at++ {
					answered = append(answered, w.Tokens[w.Place(at)])
					margin := (s - 2 - max(1, (s-2)/2)) / 2
					require.True(t, at < margin || w.Place(at)-1 >= margin, "S %d, %d tokens, token %d", s, n, at)
				}
			}
			require.True(t, slices.Equal(ids, answered), "S %d, %d tokens: %v", s, n, answered)
		}
	}
}

// The limit holds for windows that overlap too, and the last one answers for all that it shows.
func TestWindowsThatOverlapAreLimited(t *testing.T) {
	cut := Windows{SeqLen: 10, Special: testSpecial, Closed: true, Overlap: true, Limit: 3}
	windows := cut.Cut(0, counting(100)) // 8 tokens each, 4 further on
	require.Len(t, windows, 3)
	var answered []int32
	for _, w := range windows {
		answered = append(answered, w.Tokens[w.Place(w.From):w.Place(w.To)]...)
	}
	require.Equal(t, counting(16), answered)
}

func TestWholeWindow(t *testing.T) {
	cut := Windows{SeqLen: 6, Special: testSpecial, Closed: true}
	ids := []int32{testCLS, 7, 8}
	w := cut.Whole(4, ids)
	require.Equal(t, Window{Text: 4, To: 3, Tokens: []int32{testCLS, 7, 8, testPad, testPad, testPad}}, w)
	require.Equal(t, 2, w.Place(2))
	w.Tokens[1] = 9
	require.EqualValues(t, 7, ids[1], "the window has a copy")
}

// The windows are those of the two makers that there were before, to the id; they are kept here.
func TestWindowsAreAsBefore(t *testing.T) {
	rng := randstream.New(1, "test")
	for range 3000 {
		seqLen := 3 + rng.IntN(40)
		ids := make([]int32, rng.IntN(20*seqLen))
		for i := range ids {
			ids[i] = 5 + rng.Int32N(1000)
		}
		text := rng.IntN(10)
		cut := Windows{SeqLen: seqLen, Special: testSpecial, Limit: 16}
		var rows [][]int32
		for _, w := range cut.Cut(text, ids) {
			rows = append(rows, w.Tokens)
		}
		require.Equal(t, rowsBefore(ids, seqLen), rows)

		cut = Windows{SeqLen: seqLen, Special: testSpecial, Closed: true, Overlap: true}
		require.Equal(t, overlappingBefore(text, ids, seqLen), cut.Cut(text, ids))
	}
}

// rowsBefore is how package tasks cut texts for fine-tuning.
func rowsBefore(ids []int32, seqLen int) (rows [][]int32) {
	body := seqLen - 1
	for n := 0; n < 16 && (n == 0 || len(ids) > 0); n++ {
		part := ids[:min(len(ids), body)]
		ids = ids[len(part):]
		row := append([]int32{testCLS}, part...)
		for range body - len(part) {
			row = append(row, testPad)
		}
		rows = append(rows, row)
	}
	return rows
}

// overlappingBefore is how it cut them for a reader; shift, which it subtracted from a token's place, is first now.
func overlappingBefore(text int, ids []int32, seqLen int) (windows []Window) {
	body := seqLen - 2
	step := max(1, body/2)
	margin := (body - step) / 2
	for start := 0; ; start += step {
		end := min(start+body, len(ids))
		from, to := start+margin, start+margin+step
		if start == 0 {
			from = 0
		}
		if end == len(ids) {
			to = end
		}
		row := append(append([]int32{testCLS}, ids[start:end]...), testSEP)
		for len(row) < seqLen {
			row = append(row, testPad)
		}
		windows = append(windows, Window{Text: text, From: from, To: to, Tokens: row, first: start - 1})
		if end == len(ids) {
			return windows
		}
	}
}
