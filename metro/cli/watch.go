// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"metrolab/ablations"
	"metrolab/internal/usererr"
	"metrolab/metro/training"
)

func ablateWatchCommand() *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "watch FOLDER",
		Short: "Show a study that other processes train: its table as it fills, the runs under way, the time left",
		Long: `Shows where a study stands, as its folder says, whoever trains it: a command in another terminal, the jobs of a scheduler,
machines that share the folder. It ends when every run has ended, and prints the table. Ctrl-C ends the watching and nothing else.`,
		Example: "  metro ablate watch runs/quickstart\n  metro ablate watch /shared/runs/quickstart --every 1m",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if every < 100*time.Millisecond {
				return usererr.New("--every must be at least 100ms, it is %s", every)
			}
			return watch(cmd, given[0], every)
		},
	}
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "how often the folder is read")
	return cmd
}

// watch shows a study until it has ended.
func watch(cmd *cobra.Command, dir string, every time.Duration) error {
	b := newBar("")
	defer func() { b.finish() }()
	shown := -1
	for {
		s, err := ablations.Stand(dir)
		if err != nil {
			return err
		}
		if s.Ended() {
			b.finish()
			printTable(cmd.OutOrStdout(), s.Results.Table())
			return nil
		}
		if ended := s.Results.Ended(); ended != shown {
			if b.screen.live() {
				b.put(s.Results.Table())
			} else {
				fmt.Fprintln(stderr, s)
			}
			shown = ended
		}
		b.describe(s.Done, s.Total, s.String())
		if err := pause(cmd.Context(), every); err != nil {
			return err
		}
	}
}

// pause waits, or returns [training.ErrInterrupted] when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return training.ErrInterrupted
	case <-time.After(d):
		return nil
	}
}
