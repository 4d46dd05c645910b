// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// bytesTokenizer has an id a byte; of the other methods none is called here.
type bytesTokenizer struct{ Tokenizer }

func (bytesTokenizer) EncodeIDs(dst []int32, text string) []int32 {
	for _, c := range []byte(text) {
		dst = append(dst, int32(c))
	}
	return dst
}

func (bytesTokenizer) IsSpecial(id int32) bool { return id == 'x' }

func (bytesTokenizer) Special() Special { return Special{UNK: 1} }

// Each text comes with its own ids, in order, on any number of cores, and an error ends it at once.
func TestEncodedInOrder(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var texts []string
	for i := range 5000 {
		texts = append(texts, fmt.Sprintf("%0*d", i*7919%900, i)) // also empty ones
	}
	texts = append(texts, "axb")
	for _, cores := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(cores)
		var seen []string
		require.NoError(t, encoded(bytesTokenizer{}, slices.Values(texts), func(text string, ids []int32) error {
			want := bytesTokenizer{}.EncodeIDs(nil, text)
			if text == "axb" {
				want[1] = 1
			}
			require.Equal(t, len(want), len(ids))
			require.True(t, slices.Equal(want, ids))
			seen = append(seen, text)
			return nil
		}))
		require.Equal(t, texts, seen)
	}
	full := errors.New("the disk is full")
	n := 0
	require.ErrorIs(t, encoded(bytesTokenizer{}, slices.Values(texts), func(string, []int32) error {
		if n++; n == 700 {
			return full
		}
		return nil
	}), full)
	require.Equal(t, 700, n)
	require.NoError(t, encoded(bytesTokenizer{}, slices.Values([]string(nil)), nil))
}
