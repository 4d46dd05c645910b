// SPDX-License-Identifier: Apache-2.0

package randstream

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Golden words, written down on the day the streams were defined: if they change, no old run can be reproduced.
// Check: sha256(le64(7) ‖ le64(4) ‖ "mask" ‖ le64(3) ‖ le64(1)), first two little-endian words, e.g. with Python's hashlib.
func TestKeyGolden(t *testing.T) {
	a, b := Key(7, "mask", 3, 1)
	require.Equal(t, []uint64{0xcc33886ca32658dc, 0x9ccb01ff5f653a0e}, []uint64{a, b})
}

func TestStreamsDiffer(t *testing.T) {
	seen := map[[2]uint64]string{}
	add := func(name string, a, b uint64) {
		if other, ok := seen[[2]uint64{a, b}]; ok {
			t.Fatalf("%s and %s share a key", name, other)
		}
		seen[[2]uint64{a, b}] = name
	}
	for seed := range int64(4) {
		for _, stream := range []string{"", "a", "mask", "mask\x01", "sample"} {
			a, b := Key(seed, stream)
			add(stream, a, b)
			for c := range 4 {
				a, b := Key(seed, stream, c)
				add(stream, a, b)
				a, b = Key(seed, stream, c, 0)
				add(stream, a, b)
			}
		}
	}
}

func TestNewIsRepeatable(t *testing.T) {
	x, y := New(1, "order", 5), New(1, "order", 5)
	for range 100 {
		require.Equal(t, x.Uint64(), y.Uint64())
	}
}
