// SPDX-License-Identifier: Apache-2.0

package masking

import "math/rand/v2"

// Func draws positions of row into positions, from the front, and returns how many it drew. It may draw fewer than there
// are places where no more fit, and leaves the rest as it was. Only the row's candidates are drawn, of which there are at
// least len(positions).
type Func func(rng *rand.Rand, row Row, positions []int32) int

// Row is what a pattern sees of a row of S tokens.
type Row struct {
	IDs        []int32 // [S]
	Candidates []int32 // the positions that may be masked, in order; a pattern may use the slice as scratch space

	// Continues marks the tokens that continue a word. It may be nil for patterns that do not ask for words.
	Continues func(id int32) bool
}

// Candidates returns the positions of ids that may be masked, in order: those of the tokens that maskable accepts.
func Candidates(ids []int32, maskable func(id int32) bool) []int32 {
	candidates := make([]int32, 0, len(ids))
	for i, id := range ids {
		if maskable(id) {
			candidates = append(candidates, int32(i))
		}
	}
	return candidates
}
