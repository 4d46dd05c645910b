// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// Share is what one process trains of a study. The zero value is all of it, as many runs at a time as [Study.Workers] says.
//
// Several processes may work on one folder of runs at the same time. They hold their runs by lease, so that none is trained
// twice, and the results are those of one process.
type Share struct {
	Jobs  int   // runs at a time; 0 is [Study.Workers]
	Shard Shard // the part of the runs; the zero value is all of them

	// Claim takes whichever runs are free, waits for those that others hold, and takes over those whose process gives no
	// sign of life for the store's TTL. The clocks of all machines must agree; see [runs.Store.CheckClock].
	Claim bool
}

// Shard is part Index, 1 or more, of a study that is divided into Count. The division follows from the plan alone, and the
// parts differ by one run at most.
type Shard struct{ Index, Count int }

// ParseShard reads "2/6".
func ParseShard(text string) (Shard, error) {
	index, count, _ := strings.Cut(text, "/")
	i, err := strconv.Atoi(index)
	n, err2 := strconv.Atoi(count)
	if err != nil || err2 != nil || i < 1 || i > n {
		return Shard{}, usererr.New("%q is no shard: the second of six is 2/6", text)
	}
	return Shard{i, n}, nil
}

// Of returns the places in all of the runs that are the shard's: every Count-th. Runs of one ID, arms that differ in their
// fine-tuning alone, stay together.
func (s Shard) Of(all []Run) (places []int) {
	order := map[string]int{}
	for i, run := range all {
		place, known := order[run.ID]
		if !known {
			place = len(order)
			order[run.ID] = place
		}
		if s == (Shard{}) || place%s.Count == s.Index-1 {
			places = append(places, i)
		}
	}
	return places
}

// waits reports whether an error of a run says that another process has it, and will train it as well as this one would.
func (s Share) waits(err error) bool {
	return (s.Claim || s.Shard != Shard{}) && (errors.Is(err, runs.ErrHeld) || errors.Is(err, runs.ErrLost))
}

// pause waits a moment, which is short beside the time that a lease takes to run out, or until ctx ends.
func pause(ctx context.Context, store runs.Store) {
	moment := 5 * time.Second
	if store.TTL > 0 {
		moment = min(moment, store.TTL/4)
	}
	select {
	case <-time.After(moment):
	case <-ctx.Done():
	}
}
