// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log"

	"metrolab/metro/recipes"
	"metrolab/metro/workspace"
)

func main() {
	ctx := context.Background()
	runner, err := workspace.Open(ctx, workspace.Options{Corpus: "text.txt", Runs: "runs"}) // without Corpus, the Go documentation
	if err != nil {
		log.Fatal(err)
	}
	config := recipes.Micro() // recipes.Tiny() learns something, in about a minute
	config.Objective.RTDWeight = 10
	result, err := runner.Run(ctx, "micro", config, nil) // asked for again, it is found and not trained
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Run, result.Metrics["frozen_auc_unigram"])
}
