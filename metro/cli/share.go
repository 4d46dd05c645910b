// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro/training"
)

// shareFlags say what one process trains of a study.
type shareFlags struct {
	jobs  int
	shard string
	claim bool
	lease time.Duration
}

const shareHelp = `

--jobs trains several runs at a time in one process; they share its threads and, with --devices, take turns with them. Several processes, on machines that share the
folder of --out, may train one study: --shard 2/6 is the second of six parts, the same whenever it is asked for, and --claim
takes whichever runs are free. Both wait for a run that another process holds. Whoever holds a run gives a sign of life
every quarter of --lease; without one for so long, or at once if its process has died on this machine, the run is another's,
and what its last holder still writes is refused. --claim needs clocks that agree. The numbers are those of one process in any
case, and so is the report, which is written by whoever ends a run last.

A shard ends with exit code 3 if one of its runs has diverged, for the scheduler that it is an index of; the study itself
counts that as a result.`

func (f *shareFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.jobs, "jobs", 0, "runs at a time; 0: one a core in pure Go and of models of width 64 or less, else one, as XLA then uses all cores itself")
	cmd.Flags().StringVar(&f.shard, "shard", "", "train this part of the runs only, as 2/6")
	cmd.Flags().BoolVar(&f.claim, "claim", false, "share the runs with other processes that claim: take those that are free, wait for the rest")
	cmd.Flags().DurationVar(&f.lease, "lease", 2*time.Minute, "with --shard or --claim: for so long a run is held without a sign of life")
}

// share is what the flags say, once they make sense together and the runner keeps them.
func (f *shareFlags) share(cmd *cobra.Command, runner *training.Runner) (share ablations.Share, err error) {
	share = ablations.Share{Jobs: f.jobs, Claim: f.claim}
	if f.jobs < 0 {
		return share, usererr.New("--jobs %d: it is a number of runs at a time", f.jobs)
	}
	if f.shard != "" {
		if share.Shard, err = ablations.ParseShard(f.shard); err != nil {
			return share, fmt.Errorf("--shard: %w", err)
		}
	}
	switch alone := f.shard == "" && !f.claim; {
	case f.shard != "" && f.claim:
		return share, usererr.New("--shard gives this process its runs and --claim takes any; leave one of the two out")
	case alone && cmd.Flags().Changed("lease"):
		return share, usererr.New("--lease is for processes that share a study; give --shard or --claim too")
	case f.lease < time.Second:
		return share, usererr.New("--lease %s is too short for a sign of life every quarter of it: a second is the least", f.lease)
	case !alone:
		runner.Store.TTL = f.lease
	}
	if runner.Store.TakeStopped = f.claim; f.claim {
		err = runner.Store.CheckClock()
	}
	return share, err
}

// divergedIn returns an error that wraps [training.ErrDiverged] if a run of a shard has diverged: an index of a queue has
// nothing but its exit code to say so.
func divergedIn(shard ablations.Shard, results ablations.Results) error {
	if shard == (ablations.Shard{}) {
		return nil
	}
	for _, i := range shard.Of(results.Runs) {
		run := results.Runs[i]
		if err := run.Result.Err(); run.Ended && err != nil {
			return fmt.Errorf("%s, seed %d: %w", run.Arm, run.Seed, err)
		}
	}
	return nil
}
