// SPDX-License-Identifier: Apache-2.0

// Floors measures what a change of rounding alone gives: it trains the studies aa and aa-micro, each a recipe against itself
// with its numbers added in another order, and writes the spread of their paired differences into ablations/floors.json, with
// where it comes from. Run it in the root of the repository whenever training.NumericsVersion is raised:
//
//	. scripts/env.sh; go run ./scripts/floors
//
// Runs that are there are not trained again; --out says where they lie.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"metrolab/ablations"
	"metrolab/ablations/studies"
	"metrolab/internal/progress"
	"metrolab/metro/runs"
	"metrolab/metro/workspace"
)

func main() {
	out := flag.String("out", "runs", "folder of the runs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, *out); err != nil {
		fmt.Fprintln(os.Stderr, "floors:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, out string) error {
	runner, err := workspace.Open(ctx, workspace.Options{Runs: out, Said: func(line string) { fmt.Fprintln(os.Stderr, line) }})
	if err != nil {
		return err
	}
	var floors []ablations.Floor
	for _, name := range []string{"aa", "aa-micro"} {
		study, err := studies.Get(name, runner.BackendKind)
		if err != nil {
			return err
		}
		results, err := study.Run(ctx, runner, ablations.Workers(runner.BackendKind), func(e ablations.Event) {
			if e.Result != nil {
				fmt.Fprintf(os.Stderr, "%s: %d of %d, %s seed %d, %s\n", name, e.Done, e.Total, e.Arm, e.Seed,
					progress.Duration(time.Duration(e.Result.Seconds*float64(time.Second))))
			}
		})
		if err != nil {
			return err
		}
		if _, err := results.Write(filepath.Join(out, study.Name)); err != nil {
			return err
		}
		floor, err := floorOf(results)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: σ of %d paired differences in %s: %.4f\n", name, len(floor.Seeds), floor.Metric, floor.SD)
		floors = append(floors, floor)
	}
	return runs.WriteJSON(filepath.Join("ablations", "floors.json"), floors)
}

// floorOf is what a study of equal arms has found, with where it comes from.
func floorOf(results ablations.Results) (ablations.Floor, error) {
	s, c := results.Study, results.Compare()[0]
	if c.Pairs != len(s.Seeds) {
		return ablations.Floor{}, fmt.Errorf("%s: %d of %d pairs: %s", s.Name, c.Pairs, len(s.Seeds), c.Note)
	}
	run, err := results.Store.Open(results.Runs[0].ID)
	if err != nil {
		return ablations.Floor{}, err
	}
	var p runs.Provenance
	if err := runs.ReadJSON(run.Path(runs.ProvenanceFile), &p); err != nil {
		return ablations.Floor{}, err
	}
	return ablations.Floor{
		Recipe: s.Recipe, Metric: s.Outcome.Metric, Steps: s.Baseline.Training.Steps, SD: c.SD, Seeds: s.Seeds,
		Change: s.Changes[0].Set, Command: "go run ./scripts/floors", Commit: p.Source.Commit,
		Machine: fmt.Sprintf("%s, %d cores", p.CPU, p.Cores),
		Backend: strings.TrimSpace(p.Backend.Name + " " + p.Backend.Version), Date: p.Started.UTC().Format(time.DateOnly),
	}, nil
}
