// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// The bytes are passed on as they are, and counted wherever the blocks of reading end.
func TestTally(t *testing.T) {
	for _, c := range []struct {
		text       string
		bad, first int64
	}{
		{"", 0, 0}, {"plain", 0, 0}, {"ünïcode €", 0, 0}, {"a\xFFb", 1, 1}, {"é\x00", 1, 2}, {"cut \xE2\x82", 2, 4}, {"\xE2\x82a\xE2\x82\xAC\xFF", 3, 0},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
		} {
			count := &tally{r: wrap(bytes.NewReader([]byte(c.text)))}
			read, err := io.ReadAll(count)
			require.NoError(t, err)
			require.Equal(t, c.text, string(read))
			require.Equal(t, []int64{int64(len(c.text)), c.bad, c.first}, []int64{count.total, count.bad, count.first}, "%q", c.text)
		}
	}
}

func FuzzTally(f *testing.F) {
	for _, seed := range []string{"", "a", "\xE2\x82\xAC", "\xE2\x82", "\xFF\x00é", "\xF0\x9F\x91\x8D\xF0\x9F"} {
		f.Add([]byte(seed), 1)
	}
	f.Fuzz(func(t *testing.T, text []byte, block int) {
		count := &tally{r: bytes.NewReader(text)}
		read, err := io.ReadAll(io.MultiReader(io.LimitReader(count, int64(max(block, 0))), count))
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, read))
		_, bad := replaceInvalid(text)
		require.Equal(t, bad, count.bad)
		require.EqualValues(t, len(text), count.total)
		require.Equal(t, bad == 0, utf8.Valid(text) && bytes.IndexByte(text, 0) < 0)
	})
}
