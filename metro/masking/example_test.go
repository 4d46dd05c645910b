// SPDX-License-Identifier: Apache-2.0

package masking_test

import (
	"fmt"

	"metrolab/internal/randstream"
	"metrolab/metro/masking"
)

// Each pattern draws four positions of the same row. Ids below 5 are special and are never drawn; those from 20 on
// continue a word, so the row's words stand at 1, 2–3, 4, 6–8 and 9.
func Example() {
	ids := []int32{2, 11, 12, 20, 13, 3, 14, 21, 22, 15, 3, 0}
	ordinary := func(id int32) bool { return id >= 5 }
	for _, pattern := range []struct {
		name string
		draw masking.Func
	}{
		{"independent", masking.Independent}, {"whole words", masking.WholeWord}, {"spans", masking.Span},
	} {
		row := masking.Row{IDs: ids, Candidates: masking.Candidates(ids, ordinary), Continues: func(id int32) bool { return id >= 20 }}
		positions := make([]int32, 4)
		drawn := pattern.draw(randstream.New(1, "mask"), row, positions)
		fmt.Println(pattern.name, positions[:drawn])
	}
	// Output:
	// independent [2 9 6 1]
	// whole words [1 2 3 9]
	// spans [1 8 9 6]
}
