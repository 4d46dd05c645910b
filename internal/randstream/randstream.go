// SPDX-License-Identifier: Apache-2.0

// Package randstream splits one seed into named streams of random numbers.
//
// Each stream is a pure function of (seed, name, counters): nothing is carried from step to step, so a resumed run
// needs no saved state, code may be reordered, and every backend sees the same numbers.
package randstream

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Key hashes (seed, stream, counters) to two words. Different arguments give unrelated words.
func Key(seed int64, stream string, counters ...int) (a, b uint64) {
	buf := make([]byte, 0, 16+len(stream)+8*len(counters))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(seed))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(len(stream)))
	buf = append(buf, stream...)
	for _, c := range counters {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(c))
	}
	sum := sha256.Sum256(buf)
	return binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])
}

// New returns the generator of (seed, stream, counters).
func New(seed int64, stream string, counters ...int) *rand.Rand {
	return rand.New(rand.NewPCG(Key(seed, stream, counters...)))
}
