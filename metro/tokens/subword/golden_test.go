// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/testdata"
	"metrolab/metro/tokens"
)

// goldenLine is a line of a golden file: what Python tokenizers 0.23.3 made of a text, special tokens on, offsets in code
// points.
type goldenLine struct {
	Text    string   `json:"text"`
	IDs     []int32  `json:"ids"`
	Offsets [][2]int `json:"offsets"`
}

func readLines[T any](t testing.TB, path string) []T {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	var lines []T
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var l T
		require.NoError(t, json.Unmarshal(s.Bytes(), &l))
		lines = append(lines, l)
	}
	require.NoError(t, s.Err())
	return lines
}

func offsets(e []tokens.Span) [][2]int {
	out := make([][2]int, len(e))
	for i, s := range e {
		out[i] = [2]int{s.Start, s.End}
	}
	return out
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"bpe_bytelevel", "unigram"} {
		t.Run(name, func(t *testing.T) {
			folder := testdata.Shared(t, "tokenizer-golden")
			tok, err := Load(folder + "/" + name + ".tokenizer.json")
			require.NoError(t, err)
			lines := readLines[goldenLine](t, folder+"/"+name+".golden.jsonl.gz")
			require.Len(t, lines, 600)
			for _, l := range lines {
				e := tok.Encode(l.Text)
				require.Equal(t, l.IDs, e.IDs, "%q", l.Text)
				require.Equal(t, l.Offsets, offsets(e.Chars), "%q", l.Text)
				require.Equal(t, l.IDs[1:len(l.IDs)-1], tok.EncodeIDs([]int32{}, l.Text), "%q", l.Text)
			}
		})
	}
}
