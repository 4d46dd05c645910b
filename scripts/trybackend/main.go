// SPDX-License-Identifier: Apache-2.0

// Command trybackend opens a backend, runs a small graph on it and prints in one line what it is. It exits with 0 only if
// the numbers are right, so scripts/setup can tell a plugin that works from one that is merely there.
//
//	trybackend xla:cpu
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/gomlx/gomlx/core/graph"

	"metrolab/internal/usererr"
	"metrolab/metro/backend"
)

func main() {
	spec := "auto"
	if len(os.Args) > 1 {
		spec = os.Args[1]
	}
	if err := try(spec); err != nil {
		fmt.Fprintln(os.Stderr, "trybackend:", err)
		if usererr.Is(err) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// try multiplies two small matrices of whole numbers, for which every backend is exact.
func try(spec string) error {
	start := time.Now()
	be, err := backend.Open(spec)
	if err != nil {
		return err
	}
	square, err := graph.NewExec(be, func(x *graph.Node) *graph.Node { return graph.MatMul(x, x) })
	if err != nil {
		return fmt.Errorf("building a graph: %w", err)
	}
	results, err := square.Call([][]float32{{1, 2}, {3, 4}})
	if err != nil {
		return fmt.Errorf("running a graph: %w", err)
	}
	if got := fmt.Sprint(results[0].Value()); got != "[[7 10] [15 22]]" {
		return fmt.Errorf("the square of [[1 2] [3 4]] came out as %s", got)
	}
	elapsed := time.Since(start).Round(time.Millisecond)
	fmt.Printf("%s [%d device(s), first graph after %v]\n", backend.Describe(be), be.NumDevices(), elapsed)
	return nil
}
