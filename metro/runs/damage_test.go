// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/faultfs"
)

// A bit of a result that flips on the disk is noticed, or changes nothing that is read.
func TestEveryFlippedBitOfAResult(t *testing.T) {
	store := Store{Root: t.TempDir()}
	require.NoError(t, train(store, toyID, toySteps, nothing))
	path := filepath.Join(store.Root, toyID, ResultFile)
	var want toyResult
	require.NoError(t, ReadSealed(path, &want))
	require.NotEmpty(t, want.Log)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
	d := faultfs.New()
	require.NoError(t, d.Disk().CreateFile("/result.json", text))
	noticed := 0
	for i := range text {
		for bit := range 8 {
			d.Content("/result.json")[i] ^= 1 << bit
			var got toyResult
			if err := readSealed(d.Disk(), "/result.json", &got); err != nil {
				noticed++
			} else {
				require.True(t, reflect.DeepEqual(want, got), "bit %d of byte %d", bit, i)
			}
			d.Content("/result.json")[i] ^= 1 << bit
		}
	}
	require.Greater(t, noticed, 6*len(text), "only spaces may become other spaces")
}

// A document without a seal, from before there were seals, is read as it is; one must have members to have a seal.
func TestDocumentsWithoutASeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), ResultFile)
	write(t, path, `{"Steps": 3}`)
	var got toyResult
	require.NoError(t, ReadSealed(path, &got))
	require.Equal(t, 3, got.Steps)
	for _, v := range []any{1, "text", []int{1}, map[string]int{}} {
		_, err := sealed(v)
		require.ErrorContains(t, err, "is no object with members")
	}
	text, err := sealed(map[string]any{"a": 1.50, "b": []string{"<"}})
	require.NoError(t, err)
	require.NoError(t, checkSeal(text))
	require.NoError(t, checkSeal(bytes.ReplaceAll(text, []byte("1.5"), []byte("15e-1"))), "the same number")
	require.ErrorContains(t, checkSeal(bytes.ReplaceAll(text, []byte("1.5"), []byte("1.25"))), "its content has the hash")
}

// Whatever befalls the log of a finished run, its reader hears of it; and what another process has written behind its end is
// no part of it, and goes when the run is next looked after.
func TestTheLogOfAFinishedRun(t *testing.T) {
	store := Store{Root: t.TempDir()}
	require.NoError(t, train(store, toyID, toySteps, nothing))
	run, err := store.Open(toyID)
	require.NoError(t, err)
	path := run.Path(MetricsFile)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range text {
		flipped := bytes.Clone(text)
		flipped[i] ^= 1 << (i % 8)
		require.NoError(t, os.WriteFile(path, flipped, 0o600))
		_, err := run.ReadMetrics()
		require.ErrorContains(t, err, "are not those that were recorded", "byte %d", i)
	}
	require.NoError(t, os.WriteFile(path, text[:len(text)/2], 0o600))
	rows, err := run.ReadMetrics()
	require.ErrorContains(t, err, "it is shorter than the")
	require.NotEmpty(t, rows, "what can be read is")

	require.NoError(t, os.WriteFile(path, append(bytes.Clone(text), "{\"step\":3,\"loss\":9}\n"...), 0o600))
	stray := filepath.Join(run.attemptDir(1), ".tmp-lease.json-0123456789ab")
	write(t, stray, "half")
	rows, err = run.ReadMetrics()
	require.NoError(t, err)
	require.Len(t, rows, toySteps)
	lease, err := run.Acquire()
	require.NoError(t, err)
	require.NoError(t, run.Tidy(), "who holds it looks after it")
	require.NoError(t, lease.Release())
	require.NoError(t, run.Tidy())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(text), string(after))
	require.NoFileExists(t, stray)
	attempt := lastOf(t, run)
	require.NoError(t, run.Tidy())
	require.Equal(t, attempt, lastOf(t, run), "there is nothing more to do")
}

func lastOf(t *testing.T, run *Run) int {
	t.Helper()
	last, err := run.lastAttempt()
	require.NoError(t, err)
	return last
}

// A checkpoint whose steps the log does not cover is not gone on from: the one before it is, if that is covered, and the run
// ends as if nothing had happened.
func TestTheLogMustCoverTheCheckpoint(t *testing.T) {
	stopped := func(t *testing.T) (Store, *Run) {
		store := Store{Root: t.TempDir()}
		require.Panics(t, func() {
			_ = train(store, toyID, toySteps, func(step int) {
				if step == toySteps {
					panic("stopped")
				}
			})
		})
		run, err := store.Open(toyID)
		require.NoError(t, err)
		return store, run
	}
	for name, c := range map[string]struct {
		harm func(text string) string
		from int // the checkpoint that is gone on from; 0 for none
	}{
		"whole":                 {func(text string) string { return text }, 4},
		"one more line":         {func(text string) string { return text + "{\"step\":9}\n" }, 4},
		"without its last line": {func(text string) string { return text[:strings.LastIndex(text[:len(text)-1], "\n")+1] }, 4},
		"without what 4 covers": {func(text string) string { return toyMetrics(3) }, 2},
		"a digit after step 2": {func(text string) string {
			return strings.Replace(text, "{\"step\":3,\"loss\":0.3", "{\"step\":3,\"loss\":0.7", 1)
		}, 2},
		"a digit before step 2": {func(text string) string {
			return strings.Replace(text, "{\"step\":2,\"loss\":0.5", "{\"step\":2,\"loss\":0.7", 1)
		}, 0},
		"halved":                   {func(text string) string { return text[:len(text)/4] }, 0},
		"emptied":                  {func(string) string { return "" }, 0},
		"a line put between":       {func(text string) string { return "{\"step\":0}\n" + text }, 0},
		"the lines in other words": {func(text string) string { return strings.ReplaceAll(text, "\"step\":", "\"step\": ") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			store, run := stopped(t)
			text, err := os.ReadFile(run.Path(MetricsFile))
			require.NoError(t, err)
			require.Equal(t, toyMetrics(5), string(text))
			require.NoError(t, os.WriteFile(run.Path(MetricsFile), []byte(c.harm(string(text))), 0o600))

			begun := 0
			note := func(step int) {
				if begun == 0 {
					begun = step
				}
			}
			err = train(store, toyID, toySteps, note)
			if c.from == 0 {
				require.ErrorContains(t, err, "all 2 checkpoints in "+run.Path(CheckpointsDir))
				require.ErrorContains(t, err, run.Path(MetricsFile))
				require.Equal(t, []string{"step-00000002", "step-00000004"}, names(t, run.Path(CheckpointsDir)), "they stay as they are")
				return
			}
			if c.from < 4 {
				require.ErrorContains(t, err, "step-00000004")
				err = train(store, toyID, toySteps, note)
			}
			require.NoError(t, err)
			require.Equal(t, c.from+1, begun)
			require.NoError(t, finished(store, toyID, toySteps))
		})
	}
}
