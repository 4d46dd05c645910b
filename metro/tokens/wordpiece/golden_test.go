// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/testdata"
)

// goldenLine is a line of a golden file: what Python tokenizers 0.23.3 made of a text with the tokenizer.json of the
// same name, special tokens on, offsets in code points.
type goldenLine struct {
	Text    string   `json:"text"`
	IDs     []int32  `json:"ids"`
	Offsets [][2]int `json:"offsets"`
	Decoded string   `json:"decoded"` // in hard.golden.jsonl.gz only
}

func readGolden(t testing.TB, path string) []goldenLine {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	var lines []goldenLine
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var l goldenLine
		require.NoError(t, json.Unmarshal(s.Bytes(), &l))
		lines = append(lines, l)
	}
	require.NoError(t, s.Err())
	return lines
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"wp_uncased", "wp_cased"} {
		t.Run(name, func(t *testing.T) {
			tok, err := Load(testdata.Shared(t, "tokenizer-golden/"+name+".tokenizer.json"))
			require.NoError(t, err)
			lines := readGolden(t, testdata.Shared(t, "tokenizer-golden/"+name+".golden.jsonl.gz"))
			require.Len(t, lines, 600)
			for _, l := range lines {
				requireGolden(t, tok, l)
			}
		})
	}
}

func requireGolden(t testing.TB, tok *Tokenizer, l goldenLine) {
	t.Helper()
	got := tok.Encode(l.Text)
	require.Equal(t, l.IDs, got.IDs, "%q", l.Text)
	for i, s := range got.Chars {
		require.Equal(t, l.Offsets[i], [2]int{s.Start, s.End}, "token %d of %q", i, l.Text)
	}
	require.Equal(t, l.IDs[1:len(l.IDs)-1], tok.EncodeIDs([]int32{}, l.Text), "%q", l.Text)
}
