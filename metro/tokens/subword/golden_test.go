// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/testdata"
	"metrolab/internal/usererr"
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

// goldenFile is a tokenizer of testdata/hf.golden.jsonl.gz, and what the Python library makes of texts with it.
type goldenFile struct {
	Name  string
	File  json.RawMessage
	Lines []struct {
		goldenLine
		Decoded string
	}
	Pairs []struct {
		goldenLine
		First, Second string
		Limit         int
		Strategy      string
		Left          bool
		Types         []int32
		Texts         []int
		Single        []int32
		Refused       bool
	}
}

// goldenModel is a SentencePiece model of testdata/spm.golden.jsonl.gz, and what sentencepiece makes of texts with it.
type goldenModel struct {
	Name  string
	Model []byte
	Lines []goldenLine
}

func models(t testing.TB) map[string]goldenModel {
	list := make(map[string]goldenModel)
	for _, m := range readLines[goldenModel](t, "testdata/spm.golden.jsonl.gz") {
		list[m.Name] = m
	}
	return list
}

// parsed reads the tokenizer of a golden file.
func (g *goldenFile) parsed(t testing.TB) *Tokenizer {
	file := string(g.File)
	if g.Name == "precompiled" {
		model, err := readSPM(models(t)["unigram"].Model)
		require.NoError(t, err)
		file = strings.Replace(file, `"precompiled_charsmap": ""`, `"precompiled_charsmap": "`+base64.StdEncoding.EncodeToString(model.charsMap)+`"`, 1)
	}
	tok, err := Parse([]byte(file))
	require.NoError(t, err, g.Name)
	return tok
}

// Every kind of tokenizer that is read gives what Python tokenizers 0.23.3 gives, of awkward lines too, and so does the file
// that it writes.
func TestGoldenFiles(t *testing.T) {
	for _, g := range readLines[goldenFile](t, "testdata/hf.golden.jsonl.gz") {
		t.Run(g.Name, func(t *testing.T) {
			tok := g.parsed(t)
			again, err := Parse(tok.JSON())
			require.NoError(t, err)
			require.Equal(t, tok.JSON(), again.JSON())
			for _, tok := range []*Tokenizer{tok, again} {
				for _, l := range g.Lines {
					e := tok.Encode(l.Text)
					require.Equal(t, l.IDs, e.IDs, "%q", l.Text)
					require.Equal(t, l.Offsets, offsets(e.Chars), "%q", l.Text)
					require.Equal(t, l.IDs[1:len(l.IDs)-1], tok.EncodeIDs([]int32{}, l.Text), "%q", l.Text)
					require.Equal(t, l.Decoded, tok.Decode(l.IDs), "%q", l.Text)
				}
			}
		})
	}
}

// Pairs and truncation are those of the Python library.
func TestGoldenPairs(t *testing.T) {
	strategies := map[string]tokens.Strategy{"longest_first": tokens.LongestFirst, "only_first": tokens.OnlyFirst, "only_second": tokens.OnlySecond}
	for _, g := range readLines[goldenFile](t, "testdata/hf.golden.jsonl.gz") {
		t.Run(g.Name, func(t *testing.T) {
			tok := g.parsed(t)
			for _, p := range g.Pairs {
				limit := tokens.Limit{Tokens: p.Limit, Strategy: strategies[p.Strategy], Left: p.Left}
				e, err := tokens.EncodePair(tok, p.First, p.Second, limit)
				if p.Refused {
					require.True(t, usererr.Is(err), "%+v: %v", p, err)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, p.IDs, e.IDs, "%+v", p)
				require.Equal(t, p.Types, e.Types, "%+v", p)
				require.Equal(t, p.Texts, e.Texts, "%+v", p)
				if !p.Left { // of a text cut at its beginning, the library leaves the space before the first token in its place
					require.Equal(t, p.Offsets, offsets(e.Chars), "%+v", p)
				}
				if p.Single != nil {
					one, err := tokens.EncodeText(tok, p.First, limit)
					require.NoError(t, err)
					require.Equal(t, p.Single, one.IDs, "%+v", p)
				}
			}
		})
	}
}
