// SPDX-License-Identifier: Apache-2.0

package data

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/distribution"
	"metrolab/internal/randstream"
	"metrolab/metro/masking"
)

// Whatever the pattern, the masked positions show their own token, a random ordinary one or [MASK] in the shares of the
// rule, and all other positions stay as they are. The rule changes nothing of what is drawn besides.
func TestMaskingRules(t *testing.T) {
	rules := map[string]Masking{
		"100/0/0":  {Rate: 0.25},
		"85/15/0":  {Rate: 0.25, Keep: 0.15},
		"80/10/10": {Rate: 0.25, Keep: 0.1, Random: 0.1},
		"0/0/100":  {Rate: 0.25, Random: 1},
	}
	for rule, shares := range rules {
		for pattern, m := range maskings {
			m.Rate, m.Keep, m.Random = shares.Rate, shares.Keep, shares.Random
			t.Run(rule+" "+pattern, func(t *testing.T) { requireShares(t, m) })
		}
	}
}

const testVocab, ordinaryIDs = 28, 23

func requireShares(t *testing.T, m Masking) {
	l := testLoader(t, 1100) // 100 rows
	plain := *l
	plain.Masking = Masking{Rate: m.Rate, Pattern: m.Pattern}
	l.Masking = m
	l.BatchSize, plain.BatchSize = 100, 100
	var drawn, kept float64
	shown := make([]float64, testVocab) // at positions whose token changed
	for step := range 40 {
		b, without := batchOf(t, l, step), batchOf(t, &plain, step)
		require.Equal(t, b, batchOf(t, l, step))
		untouched := slices.Clone(b.Masked)
		for row := range l.BatchSize {
			slots := b.Positions[row*l.Slots : (row+1)*l.Slots]
			for k, at := range slots {
				cell := row*l.Rows.SeqLen + int(at)
				if b.Weights[row*l.Slots+k] == 0 {
					continue
				}
				untouched[cell] = b.Tokens[cell]
				if count := len(slices.DeleteFunc(slices.Clone(slots), func(p int32) bool { return p != at })); count > 1 {
					continue // two slots write here; see TestTwoSlots
				}
				if drawn++; b.Masked[cell] == b.Tokens[cell] {
					kept++
				} else {
					shown[b.Masked[cell]]++
				}
			}
		}
		require.Equal(t, b.Tokens, untouched)
		without.Masked = b.Masked
		require.Equal(t, without, b, "the rule has a stream of its own")
	}

	// One in 23 random tokens is the original.
	same := m.Keep + m.Random/ordinaryIDs
	random := m.Random * (1 - 1.0/ordinaryIDs)
	masked := shown[testMask]
	distribution.Require(t,
		[]float64{drawn * same, drawn * random, drawn * (1 - m.Keep - m.Random)},
		[]float64{kept, drawn - kept - masked, masked}, "own token, random one, [MASK]")
	for id := range int32(testVocab) {
		if id != testMask && !ordinary(id) {
			require.Zero(t, shown[id], "special token %d is shown", id)
		}
	}
}

// A random token is any maskable id below V with the same probability.
func TestRandomTokensAreUniform(t *testing.T) {
	l := testLoader(t, 100)
	l.Masking = Masking{Rate: 0.25, Random: 1}
	rng := randstream.New(1, "rule")
	flat, drawn := make([]float64, testVocab), make([]float64, testVocab)
	const draws = 46_000
	for range draws {
		drawn[l.randomToken(rng)]++
	}
	for id := range flat {
		if ordinary(int32(id)) {
			flat[id] = draws / ordinaryIDs
		}
	}
	distribution.Require(t, flat, drawn, "token")
}

// Of two slots with one position, one that keeps its token does not bring back what the other hid: 1 − 0.5² of the
// positions drawn twice, and 1 − 0.5³ of those drawn three times, show [MASK].
func TestTwoSlots(t *testing.T) {
	l := testLoader(t, 1100)
	l.BatchSize, l.Slots, l.Masking = 100, 3, Masking{Rate: 0.25, Keep: 0.5, Pattern: masking.WithReplacement}
	expected, observed := make([]float64, 2), make([]float64, 2)
	for step := range 60 {
		b := batchOf(t, l, step)
		for row := range l.BatchSize {
			slots := b.Positions[row*l.Slots : (row+1)*l.Slots]
			if b.Weights[(row+1)*l.Slots-1] == 0 || slots[0] != slots[1] || slots[1] == slots[2] {
				continue
			}
			hidden := 0
			if b.Masked[row*l.Rows.SeqLen+int(slots[0])] == testMask {
				hidden = 1
			}
			observed[hidden]++
			expected[0] += 0.25
			expected[1] += 0.75
		}
	}
	require.Greater(t, observed[0], 20.0)
	distribution.Require(t, expected, observed, "twice drawn")
}
