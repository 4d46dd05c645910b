// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"metrolab/layers"
	"metrolab/metro/backend"
)

func main() {
	engine, err := backend.Open("auto") // XLA on a GPU, XLA on the processor, or pure Go
	if err != nil {
		panic(err)
	}
	table := [][]float32{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}} // 8 buckets × 1 head
	bias, err := CallOnce(engine, func(table *Node) *Node {
		return layers.RelativePositionBias(table, 5, 20) // [1, heads, 5, 5], to be added to attention logits
	}, table)
	fmt.Println(bias, err)
}
