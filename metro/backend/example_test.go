// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"metrolab/metro/backend"
)

func ExampleOpen() {
	be, err := backend.Open("go") // "auto" takes the fastest that is here
	if err != nil {
		fmt.Println(err)
		return
	}
	sum := graph.MustNewExec(be, func(x, y *graph.Node) *graph.Node { return graph.Add(x, y) })
	fmt.Println(sum.MustCall(float32(1), float32(2))[0].Value())
	// Output: 3
}
