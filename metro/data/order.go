// SPDX-License-Identifier: Apache-2.0

package data

import (
	"math/bits"

	"metrolab/internal/randstream"
)

// Shuffled returns the row that comes k-th, k = 0, 1, …, when n rows are read over and over, each pass in an order of
// its own. It is a pure function of (seed, k): resuming at step t is arithmetic, nothing is replayed.
func Shuffled(seed int64, n, k int) int {
	return newPermutation(seed, "order", n, k/n).at(k % n)
}

// permutation is a random order of 0…n−1 that is computed, not stored: a four-round Feistel network over the
// smallest even number of bits that holds n, walked along its cycle until it lands below n.
type permutation struct {
	n    uint64
	half uint      // bits a side
	keys [4]uint64 // one a round
}

func newPermutation(seed int64, stream string, n, epoch int) permutation {
	p := permutation{n: uint64(n), half: uint(max(1, (bits.Len64(uint64(n-1))+1)/2))}
	p.keys[0], p.keys[1] = randstream.Key(seed, stream, epoch, 0)
	p.keys[2], p.keys[3] = randstream.Key(seed, stream, epoch, 1)
	return p
}

func (p permutation) at(i int) int {
	x := uint64(i)
	for {
		left, right := x>>p.half, x&(1<<p.half-1)
		for _, key := range p.keys {
			left, right = right, left^(mix(right^key)&(1<<p.half-1))
		}
		if x = left<<p.half | right; x < p.n {
			return int(x)
		}
	}
}

// mix is the finaliser of SplitMix64 (Steele et al., 2014): every input bit changes every output bit half the time.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
