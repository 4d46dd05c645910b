// SPDX-License-Identifier: Apache-2.0

package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/tokens"
)

const (
	testPad, testCLS, testSEP, testMask = 0, 2, 3, 4 // as every tokenizer trained here has them
	anyVocab                            = 1 << 31    // all ids there are
)

// anyIDs is a tokenizer of any vocabulary; of the other methods none is called here.
type anyIDs struct{ tokens.Tokenizer }

func (anyIDs) VocabSize() int { return anyVocab }
func (anyIDs) Special() tokens.Special {
	return tokens.Special{PAD: testPad, UNK: 1, CLS: testCLS, SEP: testSEP, MASK: testMask}
}
func (anyIDs) IsContinuation(int32) bool { return false }

// writeIDs makes token files.
func writeIDs(t testing.TB, ids []int32) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.json")
	require.NoError(t, tokens.WriteStream(path, anyIDs{}, slices.Values(ids)))
	return path
}

// onlyShard is the file of ids beside an index.
func onlyShard(path string) string { return strings.TrimSuffix(path, ".json") + "-00000.tokens" }

// openIDs reads ids as rows of seqLen.
func openIDs(t testing.TB, ids []int32, seqLen int) *Rows {
	t.Helper()
	rows, err := OpenRows(writeIDs(t, ids), seqLen, anyVocab, testCLS, testPad)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	return rows
}

// counting returns the ids 5, 6, …, n of them.
func counting(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(5 + i)
	}
	return ids
}

// The rows without [CLS] and without the padding at the very end are the stream, in order: no token is lost, none is
// read twice.
func TestRowsHoldTheStreamOnce(t *testing.T) {
	for _, seqLen := range []int{2, 4, 7, 16} {
		for n := range 40 {
			stream := counting(n)
			rows := openIDs(t, stream, seqLen)
			require.Equal(t, n, rows.Tokens())
			require.Equal(t, (n+seqLen-2)/(seqLen-1), rows.Len(), "%d tokens in rows of %d", n, seqLen)
			got := []int32{}
			row := make([]int32, seqLen)
			for i := range rows.Len() {
				require.NoError(t, rows.Read(i, row))
				require.EqualValues(t, testCLS, row[0])
				got = append(got, row[1:]...)
			}
			require.Equal(t, stream, got[:n])
			require.Less(t, len(got)-n, seqLen-1, "only the last row is short")
			for _, id := range got[n:] {
				require.EqualValues(t, testPad, id)
			}
		}
	}
}

// Ids above 2¹⁵ and 2¹⁶ survive the file.
func TestRowsHoldLargeIDs(t *testing.T) {
	row := make([]int32, 4)
	require.NoError(t, openIDs(t, []int32{30_521, 65_536, 1<<31 - 1}, 4).Read(0, row))
	require.Equal(t, []int32{testCLS, 30_521, 65_536, 1<<31 - 1}, row)
}

func TestRowsFromManyGoroutines(t *testing.T) {
	rows := openIDs(t, counting(300), 4)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			row := make([]int32, 4)
			for i := range rows.Len() {
				if err := rows.Read(i, row); err != nil || row[1] != int32(5+3*i) {
					t.Errorf("row %d: %v, %v", i, row, err)
				}
			}
		})
	}
	wg.Wait()
}

// A file that is missing, that is shorter than it was when it is opened or while it is read, or that is closed is an error that
// names it.
func TestRowsNameTheFileThatFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "gone.json")
	_, err := OpenRows(missing, 8, anyVocab, testCLS, testPad)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, missing)

	path := writeIDs(t, counting(20))
	require.NoError(t, os.Truncate(onlyShard(path), 4*20-1))
	_, err = OpenRows(path, 8, anyVocab, testCLS, testPad)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "the SHA-256 of "+onlyShard(path))

	path = writeIDs(t, counting(20_000))
	rows, err := OpenRows(path, 8, anyVocab, testCLS, testPad)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(onlyShard(path), 4*10))
	row := make([]int32, 8)
	require.NoError(t, rows.Read(0, row))
	err = rows.Read(2000, row)
	require.ErrorContains(t, err, "row 2000 of 2858")
	require.ErrorContains(t, err, onlyShard(path))

	require.NoError(t, rows.Close())
	require.ErrorIs(t, rows.Read(0, row), os.ErrClosed)
	require.ErrorContains(t, rows.Read(0, row), path)
}

// Padding is what the last row lacks, and nothing else.
func TestPadding(t *testing.T) {
	for n, want := range map[int]float64{0: 0, 1: 6.0 / 8, 7: 0, 8: 6.0 / 16, 14: 0} {
		require.InDelta(t, want, openIDs(t, counting(n), 8).Padding(), 1e-12, "%d tokens", n)
	}
}
