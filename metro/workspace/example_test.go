// SPDX-License-Identifier: Apache-2.0

package workspace_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"metrolab/metro/recipes"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
)

// A text of one's own, in pure Go. What comes back trains configs.
func ExampleOpen() {
	dir, text := sample()
	defer os.RemoveAll(dir)

	runner, err := workspace.Open(context.Background(), workspace.Options{Backend: "go", Corpus: text, Runs: filepath.Join(dir, "runs")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(runner.BackendKind, runner.Corpus.Stats.Total().Documents)
	// Output: go 200
}

// Open, then Run: a training from Go. Asked for again, the run is found and not trained.
func ExampleOpen_run() {
	dir, text := sample()
	defer os.RemoveAll(dir)

	ctx := context.Background()
	runner, err := workspace.Open(ctx, workspace.Options{Backend: "go", Corpus: text, Runs: filepath.Join(dir, "runs")})
	if err != nil {
		log.Fatal(err)
	}
	config := recipes.Micro()
	config.Training.Steps, config.Training.BatchSize, config.Optimizer.WarmupSteps = 3, 8, 0
	config.Evaluation.Rows = 8
	result, err := runner.Run(ctx, "micro", config, func(p training.Progress) {
		if p.Step == p.Steps && p.Phase == "training" {
			fmt.Println("step", p.Step, "of", p.Steps)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	_, measured := result.Metrics["frozen_auc_unigram"]
	fmt.Println(result.Steps, "steps, measured:", measured, result.Err())
	again, err := runner.Run(ctx, "micro", config, func(training.Progress) { fmt.Println("trained again") })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Run.String() == result.Run.Dir)
	// Output:
	// step 3 of 3
	// 3 steps, measured: true <nil>
	// true
}

// sample makes a folder, also for what is cached, with a text in it.
func sample() (dir, text string) {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	os.Setenv("METROLAB_CACHE", filepath.Join(dir, "cache"))
	text = filepath.Join(dir, "text.txt")
	var all strings.Builder
	for i := range 200 {
		fmt.Fprintf(&all, "The reader returns the number of bytes read, paragraph %d of them.\n\n", i)
	}
	if err := os.WriteFile(text, []byte(all.String()), 0o600); err != nil {
		log.Fatal(err)
	}
	return dir, text
}
