// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"metrolab/metro/backend"
	"metrolab/metro/bench"
	"metrolab/metro/training"
)

// Steps of the smallest recipe on pure Go, twice over.
func Example() {
	engine, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}
	small, err := bench.ParseCase("micro")
	if err != nil {
		log.Fatal(err)
	}
	options := bench.Options{Runner: &training.Runner{Backend: engine, BackendKind: "go"}, Repeat: 2, Each: 10 * time.Millisecond}
	report, err := bench.Step(context.Background(), options, []bench.Training{small})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range report.Cases {
		low, high := c.Spread(bench.TokensPerSecond)
		fmt.Println(c.Name, c.Rows, "rows of", c.Length, "tokens:", low > 0 && low <= high)
	}
	same, err := bench.Compare(report, report)
	fmt.Println(len(same) > 5, err)
	// Output:
	// micro 8 rows of 16 tokens: true
	// true <nil>
}

// Where the operations of a step of ELECTRA-small are: most of them in the main model's layers, and nearly as many in the product
// with the vocabulary as in the generator's layers, though it is made at the masked positions alone.
func ExampleCount() {
	small, err := bench.ParseCase("electra-small@128")
	if err != nil {
		log.Fatal(err)
	}
	flops, err := bench.Count(small.Config, small.Config.Data.VocabSize)
	if err != nil {
		log.Fatal(err)
	}
	for _, part := range flops.Parts() {
		fmt.Printf("%-18s %5.1f GFLOP\n", part.Name, part.Value/1e9)
	}
	// Output:
	// auxiliary trunk      9.8 GFLOP
	// vocabulary product   7.1 GFLOP
	// sampling             0.0 GFLOP
	// main trunk         126.0 GFLOP
	// heads                0.8 GFLOP
}
