// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

func TestShardsDivideTheRuns(t *testing.T) {
	var all []Run
	for i := range 7 {
		all = append(all, Run{Seed: int64(i), ID: fmt.Sprint("run-", i)})
	}
	all = append(all, all[2]) // another arm of the same run, with a fine-tuning of its own
	for count := 1; count <= 9; count++ {
		var union []int
		for index := 1; index <= count; index++ {
			shard, err := ParseShard(fmt.Sprintf("%d/%d", index, count))
			require.NoError(t, err)
			places := shard.Of(all)
			require.Equal(t, slices.Contains(places, 2), slices.Contains(places, 7))
			union = append(union, places...)
		}
		slices.Sort(union)
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, union, "%d shards", count)
	}
	require.Len(t, Shard{}.Of(all), 8)
	for _, text := range []string{"", "1", "0/2", "3/2", "-1/2", "1/2/3", "a/b", "1/0"} {
		_, err := ParseShard(text)
		require.True(t, usererr.Is(err), text)
	}
}

// However a study is divided among processes, its table is the same and each run is trained once. Of workers in one process,
// TestRunStopsAndGoesOn says so.
func TestSharesMakeTheStudy(t *testing.T) {
	s, first := small(), lab(t)
	s.Changes = s.Changes[:1]
	whole, err := s.RunShare(t.Context(), first, Share{Jobs: 1}, nil)
	require.NoError(t, err)
	for name, shares := range map[string][]Share{
		"three shards": {{Jobs: 1, Shard: Shard{2, 3}}, {Jobs: 1, Shard: Shard{1, 3}}, {Jobs: 1, Shard: Shard{3, 3}}},
		"two claims":   {{Jobs: 1, Claim: true}, {Jobs: 2, Claim: true}},
	} {
		t.Run(name, func(t *testing.T) {
			results := inShares(t, s, first, shares)
			root := results.Store.Root
			require.Equal(t, whole.Table().Rows, results.Table().Rows)
			for _, row := range readTable(t, filepath.Join(root, s.Name))[1:] {
				require.Contains(t, row, "finished")
			}
			for i, run := range results.Runs {
				require.True(t, sameNumbers(whole.Runs[i], run))
				attempts, err := filepath.Glob(filepath.Join(root, run.ID, "attempts", "*"))
				require.NoError(t, err)
				require.Len(t, attempts, 1, "%s is trained once", run.ID)
			}
		})
	}
}

// inShares are the results of a study that as many processes train as there are shares, in a new folder of runs.
func inShares(t *testing.T, s Study, first *training.Runner, shares []Share) Results {
	t.Helper()
	return inSharesAt(t, s, first, filepath.Join(t.TempDir(), "runs"), shares)
}

// inSharesAt is inShares in a folder of runs.
func inSharesAt(t *testing.T, s Study, first *training.Runner, root string, shares []Share) Results {
	t.Helper()
	var group sync.WaitGroup
	for _, share := range shares {
		group.Go(func() { // as many processes do
			runner := first.Anew()
			runner.Corpus, runner.Store = first.Corpus, runs.Store{Root: root, TTL: time.Minute, TakeStopped: share.Claim}
			done := 0
			results, err := s.RunShare(t.Context(), runner, share, func(e Event) { done = max(done, e.Done) })
			assert.NoError(t, err)
			if !s.UntilDecided {
				assert.Equal(t, len(share.Shard.Of(results.Runs)), done)
			}
			_, err = results.Write(filepath.Join(root, s.Name))
			assert.NoError(t, err)
		})
	}
	group.Wait()
	results, err := Open(filepath.Join(root, s.Name))
	require.NoError(t, err)
	return results
}
