// SPDX-License-Identifier: Apache-2.0

package minimalpairs_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/testdata"
	"metrolab/internal/usererr"
	"metrolab/metro/minimalpairs"
)

func TestFolderOfPairs(t *testing.T) {
	set, err := minimalpairs.Read("testdata/pairs", minimalpairs.Options{})
	require.NoError(t, err)
	require.Equal(t, []minimalpairs.Paradigm{
		{Name: "agreement", Term: "agreement", Field: "morphology", Pairs: []minimalpairs.Pair{{"The dogs bark.", "The dogs barks."}, {"The dog barks.", "The dog bark."}}},
		{Name: "binding_1", Term: "binding", Field: "syntax", Pairs: []minimalpairs.Pair{{"She saw herself.", "She saw himself."}, {"He saw himself.", "He saw himself."}}},
		{Name: "order", Term: "order", Field: "syntax", Pairs: []minimalpairs.Pair{{"Dogs chase cats.", "Dogs cats chase."}, {"Who did you see?", "Who you did see?"}}},
	}, set.Paradigms)
	require.Equal(t, 6, set.Pairs())
	require.Equal(t, 1, set.Equal())
	require.Len(t, set.Sentences(), 11)
	require.Equal(t, []string{"passed over in testdata/pairs: README.txt"}, set.Notes)
	one, err := minimalpairs.Read("testdata/pairs/order.jsonl", minimalpairs.Options{})
	require.NoError(t, err)
	require.Equal(t, set.Paradigms[2:], one.Paradigms)
	require.NotEqual(t, set.Hash, one.Hash)
}

// The whole of BLiMP, where it is at hand.
func TestBLiMP(t *testing.T) {
	set, err := minimalpairs.Read(testdata.Shared(t, "tasks/blimp"), minimalpairs.Options{})
	require.NoError(t, err)
	require.Len(t, set.Paradigms, 67)
	require.Equal(t, 67000, set.Pairs())
	require.Equal(t, 7, set.Equal())
	terms, fields := map[string]bool{}, map[string]bool{}
	for _, p := range set.Paradigms {
		terms[p.Term], fields[p.Field] = true, true
	}
	require.Len(t, terms, 13)
	require.Len(t, fields, 4, "syntax/semantics is syntax_semantics")
}

func TestOtherFields(t *testing.T) {
	path := filepath.Join(t.TempDir(), "questions.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"yes": "a b", "no": "b a", "kind": "x"}`+"\n"+`{"yes": "c d", "no": "d c"}`), 0o600))
	set, err := minimalpairs.Read(path, minimalpairs.Options{Good: "yes", Bad: "no", Paradigm: "kind"})
	require.NoError(t, err)
	require.Equal(t, []minimalpairs.Paradigm{
		{Name: "questions", Pairs: []minimalpairs.Pair{{"c d", "d c"}}}, {Name: "x", Pairs: []minimalpairs.Pair{{"a b", "b a"}}},
	}, set.Paradigms, "a pair without a paradigm is of one of its file's name")
}

func TestLinesThatAreNoPairs(t *testing.T) {
	const good = `{"sentence_good": "a b", "sentence_bad": "b a", "UID": "x", "field": "f"}`
	for line, want := range map[string]string{
		`{"sentence_good": "a"}`:                      `p.jsonl line 2, "sentence_bad" is missing or empty`,
		`{"sentence_good": "a", "sentence_bad": " "}`: `p.jsonl line 2, "sentence_bad" is missing or empty`,
		`{"sentence_good": "a", "sentence_bad": 7}`:   `p.jsonl line 2, "sentence_bad" is no text`,
		`{"sentence_good": "a", "sentence_bad`:        `p.jsonl line 2, no JSON object`,
		`null`:                                        `p.jsonl line 2, "sentence_good" is missing or empty`,
		`["a", "b"]`:                                  `p.jsonl line 2, no JSON object`,
		`{"sentence_good": "a", "sentence_bad": "b", "UID": "x", "field": "g"}`: `p.jsonl line 2, x is of "g", "" here, and of "f", "" before`,
	} {
		path := filepath.Join(t.TempDir(), "p.jsonl")
		require.NoError(t, os.WriteFile(path, []byte(good+"\n"+line+"\n"+good), 0o600))
		_, err := minimalpairs.Read(path, minimalpairs.Options{})
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, path+": 1 of 3 lines are no minimal pairs: "+want)
		require.ErrorContains(t, err, "mend them, or leave them out with --skip-bad-rows")
		set, err := minimalpairs.Read(path, minimalpairs.Options{SkipBadRows: true})
		require.NoError(t, err)
		require.Equal(t, 2, set.Pairs())
		require.Contains(t, set.Notes[0], want)
		require.Contains(t, set.Notes[0], "they are left out")
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const pair = `{"sentence_good": "a b", "sentence_bad": "b a"}` + "\n"
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err := zip.Write([]byte(strings.Repeat(pair, 2000)))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	write("twice/a.jsonl", pair)
	write("twice/a.jsonl.gz", packed.String())
	write("none/a.txt", pair)
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"):                            "no minimal pairs: stat ",
		write("empty.jsonl", "\n\n"):                            "holds no minimal pair",
		write("cut.jsonl.gz", packed.String()[:90]):             "ends in the midst of what is packed",
		write("plain.jsonl.gz", pair):                           "plain.jsonl.gz cannot be read as a gzip file",
		write("latin.jsonl", pair+`{"sentence_good": "`+"\xe9"): "line 2 is not UTF-8",
		filepath.Join(dir, "twice"):                             "a.jsonl lies there twice, in more than one packing",
		filepath.Join(dir, "none"):                              "has no file of minimal pairs, NAME.jsonl, .jsonl.gz or .jsonl.zst",
	} {
		_, err := minimalpairs.Read(path, minimalpairs.Options{SkipBadRows: true})
		require.ErrorContains(t, err, want, path)
		require.True(t, usererr.Is(err), path)
	}
}

// Whatever a file holds, it is pairs or the user's error, and what was read once is read the same again.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"sentence_good": "a b", "sentence_bad": "b a", "UID": "x", "field": "f", "linguistics_term": "t"}`,
		"\ufeff{\"sentence_good\": \"a\", \"sentence_bad\": \"a\"}\r\n\r\n", `{"sentence_good": "a"`, `[]`, `null`, "\xff", `{"UID": 3}`,
		`{"sentence_good": "a", "sentence_bad": "b", "sentence_good": ""}`, `{"sentence_good": "\ud800", "sentence_bad": "\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "pairs.jsonl")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		set, err := minimalpairs.Read(path, minimalpairs.Options{SkipBadRows: true})
		if err != nil {
			require.True(t, usererr.Is(err), err)
			return
		}
		again, err := minimalpairs.Read(path, minimalpairs.Options{SkipBadRows: true})
		require.NoError(t, err)
		require.Equal(t, set, again)
		require.Positive(t, set.Pairs())
		for _, p := range set.Paradigms {
			for _, pair := range p.Pairs {
				require.NotEmpty(t, strings.TrimSpace(pair.Good))
				require.NotEmpty(t, strings.TrimSpace(pair.Bad))
			}
		}
	})
}
