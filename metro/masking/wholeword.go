// SPDX-License-Identifier: Apache-2.0

package masking

import "math/rand/v2"

// WholeWord draws words, a piece that begins one and those that continue it, all pieces of each. It goes through the words
// of a row in a random order and takes each that fits into what is left of positions. A longer one is passed over, never
// cut: it fills fewer positions than there are where no word fits any more, and none in a row of nothing but longer words.
func WholeWord(rng *rand.Rand, row Row, positions []int32) int {
	words := words(row)
	drawn := 0
	for i := 0; i < len(words) && drawn < len(positions); i++ {
		j := i + rng.IntN(len(words)-i)
		words[i], words[j] = words[j], words[i]
		if len(words[i]) <= len(positions)-drawn {
			drawn += copy(positions[drawn:], words[i])
		}
	}
	return drawn
}

// words parts the candidates of row into words: neighbors of which all but the first continue it. A word that a special
// token or the row's begin cuts off begins with the first piece that is left of it.
func words(row Row) [][]int32 {
	var words [][]int32
	for i, at := range row.Candidates {
		if i > 0 && row.Candidates[i-1] == at-1 && row.Continues(row.IDs[at]) {
			last := &words[len(words)-1]
			*last = row.Candidates[i-len(*last) : i+1]
			continue
		}
		words = append(words, row.Candidates[i:i+1])
	}
	return words
}
