// SPDX-License-Identifier: Apache-2.0

package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"metrolab/internal/randstream"
)

// Frozen is a held-out set of corrupted rows that is the same for every run that reads text with the same tokenizer, in
// rows of the same length: which positions are wrong, and what stands there, depends on nothing that is trained. Runs are
// compared on it; a run's own generator would set each of them a test of its own difficulty.
type Frozen struct {
	SeqLen    int
	Corrupted []int32 // [N, S]
	Replaced  []bool  // [N, S] true where the token differs from the original
	Scored    []bool  // [N, S] true where the original is an ordinary token: what is counted. Of special ones everyone knows that they are original
}

// FrozenRate is the part of a frozen set's tokens, or words, that is drawn anew.
const FrozenRate = 0.15

// Freeze corrupts n of the rows, drawn at random: round(rate·candidates) of each row's maskable tokens are drawn anew by
// faker. A draw that gives the original token back is no replacement. The rows of a smaller n are the first of a larger one.
func Freeze(rows *Rows, n int, rate float64, maskable func(id int32) bool, faker Faker) (Frozen, error) {
	s := rows.SeqLen
	if rows.Len() < n {
		return Frozen{}, fmt.Errorf("freeze: asked for %d rows of %d tokens, the split has %d", n, s, rows.Len())
	}
	f := Frozen{SeqLen: s, Corrupted: make([]int32, n*s), Replaced: make([]bool, n*s), Scored: make([]bool, n*s)}
	err := eachFrozen(rows, n, rate, maskable, func(i int, original []int32, positions []int, rng *rand.Rand) {
		row := f.Corrupted[i*s : (i+1)*s]
		copy(row, original)
		for k, id := range original {
			f.Scored[i*s+k] = maskable(id)
		}
		for _, at := range positions {
			u := rng.Float64()
			if wide, ok := faker.(wideFaker); ok {
				row[at] = wide.drawIn(u, original, at)
			} else {
				left, right := beside(original, at)
				row[at] = faker.Draw(u, left, right)
			}
			f.Replaced[i*s+at] = row[at] != original[at]
		}
	})
	return f, err
}

// eachFrozen visits n rows drawn at random, with the positions at which each is drawn anew and the noise for that.
func eachFrozen(rows *Rows, n int, rate float64, maskable func(id int32) bool, visit func(i int, original []int32, positions []int, rng *rand.Rand)) error {
	s := rows.SeqLen
	original := make([]int32, s)
	slots, weights := make([]int32, s), make([]float32, s)
	for i := range n {
		drawn := Shuffled(frozenSeed, rows.Len(), i)
		if err := rows.Read(drawn, original); err != nil {
			return err
		}
		rng := randstream.New(frozenSeed, "frozen", drawn)
		MaskPositions(rng, original, rate, maskable, slots, weights)
		var positions []int
		for k, at := range slots {
			if weights[k] != 0 {
				positions = append(positions, int(at))
			}
		}
		visit(i, original, positions, rng)
	}
	return nil
}

// frozenSeed is that of every draw of a frozen set, whatever the seed of the run.
const frozenSeed = 0

// beside returns the tokens of row on both sides of a position, [none] beyond its ends.
func beside(row []int32, at int) (left, right int32) {
	left, right = none, none
	if at > 0 {
		left = row[at-1]
	}
	if at < len(row)-1 {
		right = row[at+1]
	}
	return left, right
}

// Answers keeps what is counted of scores, [N, S], one a token: the scores of the ordinary tokens and whether each was
// replaced.
func (f Frozen) Answers(scores []float32) (kept []float32, replaced []bool) {
	for i, scored := range f.Scored {
		if scored {
			kept, replaced = append(kept, scores[i]), append(replaced, f.Replaced[i])
		}
	}
	return kept, replaced
}

// Fingerprint is a hash of the set's content, in hexadecimal. Ids mean something under one tokenizer alone, which is named
// by its own hash.
func (f Frozen) Fingerprint(tokenizer string) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %d\n", tokenizer, f.SeqLen)
	for i, id := range f.Corrupted {
		cell := binary.LittleEndian.AppendUint32(nil, uint32(id))
		for _, bit := range []bool{f.Replaced[i], f.Scored[i]} {
			b := byte(0)
			if bit {
				b = 1
			}
			cell = append(cell, b)
		}
		sum.Write(cell)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
