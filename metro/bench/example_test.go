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
