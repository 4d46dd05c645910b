// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/metro/data"
)

// Halves is a frozen set in two halves: compressions are chosen on the first and reported on the second. Which half a row is in follows
// from a hash of its tokens, and from nothing else.
type Halves struct {
	set   data.Frozen
	parts [2]half
}

// half is the tokens of a set's rows that are counted.
type half struct {
	rows     int
	tokens   []int // places in the set
	row      []int // of each token, 0 … rows−1
	replaced []bool
}

// NewHalves divides set. Too few rows, of which a half would have no replaced token, are the user's error.
func NewHalves(set data.Frozen) (*Halves, error) {
	h := &Halves{set: set}
	for i := range len(set.Corrupted) / set.SeqLen {
		row := set.Corrupted[i*set.SeqLen : (i+1)*set.SeqLen]
		sum := sha256.New()
		if err := binary.Write(sum, binary.LittleEndian, row); err != nil {
			return nil, err
		}
		part := &h.parts[sum.Sum(nil)[0]&1]
		for k := range row {
			if at := i*set.SeqLen + k; set.Scored[at] {
				part.tokens, part.row, part.replaced = append(part.tokens, at), append(part.row, part.rows), append(part.replaced, set.Replaced[at])
			}
		}
		part.rows++
	}
	for _, part := range h.parts {
		if !slices.Contains(part.replaced, true) || !slices.Contains(part.replaced, false) {
			return nil, usererr.New("the frozen set has too few rows, %d and %d, to choose on one half and report on the other", h.parts[0].rows, h.parts[1].rows)
		}
	}
	return h, nil
}

// Rows is how many rows each half has.
func (h *Halves) Rows() [2]int { return [2]int{h.parts[0].rows, h.parts[1].rows} }

// contributions are what each row adds to the AUC of scores, [N, S] of the whole set: they sum to it, and their spread says how sure it
// is (DeLong's placements, added up by row since the tokens of one are not independent; ties count one half).
func (h half) contributions(scores []float32) []float64 {
	order := make([]int, len(h.tokens))
	for i := range order {
		order[i] = i
	}
	score := func(i int) float32 { return scores[h.tokens[i]] }
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(score(a), score(b)) })
	var below [2]float64 // of originals, of replaced ones
	placement := make([]float64, len(order))
	for i := 0; i < len(order); {
		var equal [2]float64
		j := i
		for ; j < len(order) && score(order[j]) == score(order[i]); j++ {
			equal[index(h.replaced[order[j]])]++
		}
		for _, k := range order[i:j] {
			other := 1 - index(h.replaced[k])
			placement[k] = below[other] + equal[other]/2
		}
		below[0], below[1] = below[0]+equal[0], below[1]+equal[1]
		i = max(j, i+1) // NaN equals nothing
	}
	originals, replaced := below[0], below[1]
	auc := 0.0
	for k := range placement {
		if h.replaced[k] {
			placement[k] /= originals
			auc += placement[k] / replaced
		} else {
			placement[k] = 1 - placement[k]/replaced
		}
	}
	rows := slices.Repeat([]float64{auc / float64(h.rows)}, h.rows)
	for k, v := range placement {
		count := originals
		if h.replaced[k] {
			count = replaced
		}
		rows[h.row[k]] += (v - auc) / count
	}
	for _, s := range h.tokens {
		if math.IsNaN(float64(scores[s])) {
			return slices.Repeat([]float64{math.NaN()}, h.rows)
		}
	}
	return rows
}

func index(replaced bool) int {
	if replaced {
		return 1
	}
	return 0
}

func sum(x []float64) (total float64) {
	for _, v := range x {
		total += v
	}
	return total
}
