// SPDX-License-Identifier: Apache-2.0

package data

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// stream is a token stream with a [SEP] after every seventh token.
func stream(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		if ids[i] = int32(5 + i*i%23); i%7 == 6 {
			ids[i] = testSEP
		}
	}
	return ids
}

func testLoader(t testing.TB, n int) *Loader {
	t.Helper()
	const seqLen, rate = 12, 0.25
	return &Loader{
		Rows: openIDs(t, stream(n), seqLen), Seed: 1, Stream: "train/", Shuffle: true,
		BatchSize: 4, Slots: 3, Masking: Masking{Rate: rate}, MaskID: testMask,
		Maskable: ordinary, Continues: continues, Vocab: 28,
	}
}

func batchOf(t testing.TB, l *Loader, step int) Batch {
	t.Helper()
	b, err := l.Batch(step)
	require.NoError(t, err)
	return b
}

// Batch t depends on nothing but (seed, stream, t): not on what was read before, nor on the order.
func TestBatchIsAPureFunction(t *testing.T) {
	first := testLoader(t, 500)
	var forward []Batch
	for step := range 20 {
		forward = append(forward, batchOf(t, first, step))
	}
	again := testLoader(t, 500)
	for step, want := range slices.Backward(forward) {
		require.Equal(t, want, batchOf(t, again, step), "step %d", step)
	}
	for step := range forward {
		next := forward[(step+1)%len(forward)]
		require.NotEqual(t, forward[step].Uniforms, next.Uniforms)
		require.NotEqual(t, forward[step].Rows, next.Rows)
	}
	again.Seed = 2
	other := batchOf(t, again, 3)
	require.NotEqual(t, forward[3].Tokens, other.Tokens)
	require.NotEqual(t, forward[3].Positions, other.Positions)
	require.NotEqual(t, forward[3].Uniforms, other.Uniforms)

	// Another stream draws other masks and noise for the same rows.
	again.Seed, again.Stream = 1, "validation/"
	other = batchOf(t, again, 3)
	require.Equal(t, forward[3].Tokens, other.Tokens)
	require.NotEqual(t, forward[3].Positions, other.Positions)
	require.NotEqual(t, forward[3].Uniforms, other.Uniforms)
}

// The masked rows are the rows with [MASK] at the used slots; the noise is in [0, 1 − 2⁻²³], on the grid that a backend
// can hold exactly.
func TestBatchParts(t *testing.T) {
	l := testLoader(t, 490)
	for step := range 30 {
		b := batchOf(t, l, step)
		want := slices.Clone(b.Tokens)
		for i, at := range b.Positions {
			require.Contains(t, []float32{0, 1}, b.Weights[i])
			if b.Weights[i] == 1 {
				cell := i/l.Slots*l.Rows.SeqLen + int(at)
				require.True(t, ordinary(b.Tokens[cell]))
				want[cell] = testMask
			}
		}
		require.Equal(t, want, b.Masked)
		for _, u := range slices.Concat(b.Uniforms, b.Rows) {
			require.True(t, u >= 0 && u <= 1-1.0/(1<<23), "noise %g", u)
			require.Equal(t, math.Trunc(float64(u)*(1<<23)), float64(u)*(1<<23))
		}
	}
}

// Unshuffled batches go through the file in order and begin again at its end; shuffled ones hold each row once a pass.
func TestBatchRows(t *testing.T) {
	l := testLoader(t, 9*11) // 9 rows
	require.Equal(t, 9, l.Rows.Len())
	row := make([]int32, l.Rows.SeqLen)
	l.Shuffle = false
	for step := range 5 {
		b := batchOf(t, l, step)
		for i := range l.BatchSize {
			require.NoError(t, l.Rows.Read((step*l.BatchSize+i)%9, row))
			require.Equal(t, row, b.Tokens[i*len(row):(i+1)*len(row)])
		}
	}

	l.Shuffle = true
	times := map[string]int{}
	for step := range 9 { // 36 rows are four passes
		for chunk := range slices.Chunk(batchOf(t, l, step).Tokens, len(row)) {
			times[string(runesOf(chunk))]++
		}
	}
	require.Len(t, times, 9)
	for _, n := range times {
		require.Equal(t, 4, n)
	}
}

func runesOf(ids []int32) []rune { return ids }

// Written down from the code as it was when masking had a rate alone: a digest of what 50 plain batches hold. If it
// changes, no older run can be continued.
func TestBatchGolden(t *testing.T) {
	l, digest := testLoader(t, 500), fnv.New64a()
	for step := range 50 {
		b := batchOf(t, l, step)
		for _, part := range []any{b.Tokens, b.Masked, b.Positions, b.Weights, b.Uniforms} {
			require.NoError(t, binary.Write(digest, binary.LittleEndian, part))
		}
	}
	require.EqualValues(t, uint64(0x4baf5c39d022a32c), digest.Sum64())
	require.Equal(t, []int32{11, 10, 5, 6, 9, 11, 10, 3, 0, 5, 8, 0}, batchOf(t, l, 7).Positions)
}

func TestBatchNamesTheFileThatFails(t *testing.T) {
	l, path := testLoader(t, 500), writeIDs(t, stream(500))
	var err error
	l.Rows, err = OpenRows(path, l.Rows.SeqLen, anyVocab, testCLS, testPad)
	require.NoError(t, err)
	defer l.Rows.Close()
	require.NoError(t, os.Truncate(onlyShard(path), 0))
	_, err = l.Batch(0)
	require.ErrorContains(t, err, onlyShard(path))
}
