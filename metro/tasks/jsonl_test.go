// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/jsonlines"
	"metrolab/internal/usererr"
)

func writeLines(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mine.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestReadTask(t *testing.T) {
	var text strings.Builder
	text.WriteString("\ufeff")
	for i := range 60 {
		fmt.Fprintf(&text, "{\"label\": %s, \"id\": %d, \"text\": \"text number %d\"}\r\n\n", [3]string{`"b"`, "17", "true"}[i%3], i, i)
	}
	text.WriteString("{\"text\": \"text number 3\", \"label\": \"b\"}") // once more, and no line feed
	task, err := ReadTask(writeLines(t, text.String()))
	require.NoError(t, err)
	require.Equal(t, "mine", task.Name)
	require.Equal(t, []string{"17", "b", "true"}, task.Classes)
	require.Len(t, append(task.Train, task.Test...), 61)
	part := map[string]string{}
	for name, examples := range map[string][]Example{"train": task.Train, "test": task.Test} {
		for _, e := range examples {
			if other, ok := part[e.Text]; ok {
				require.Equal(t, other, name, "equal texts are in the same part")
			}
			part[e.Text] = name
		}
	}
}

// A class is a number, however it is spelled.
func TestLabelsAreNumbers(t *testing.T) {
	var text strings.Builder
	for i, label := range []string{"0", "-0", "0.0", "0e7", "1", "1.0", "1e0", "0.1e1", "1.5", "15e-1", "10000000000000001", "10000000000000000", "1e16", "true"} {
		for k := range 40 {
			fmt.Fprintf(&text, "{\"text\": \"text %d %d\", \"label\": %s}\n", i, k, label)
		}
	}
	task, err := ReadTask(writeLines(t, text.String()))
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1", "1.5", "10000000000000000", "10000000000000001", "true"}, task.Classes)
}

// The part of a text is a promise: results on one's own data stay comparable. Worked out in Python:
// int.from_bytes(sha256(text).digest()[:8], "big") % 5 == 4.
func TestForTestIsFixed(t *testing.T) {
	tests := 0
	for i := range 1000 {
		if forTest(fmt.Sprint("text ", i)) {
			tests++
		}
	}
	require.InDelta(t, 200, tests, 40)
	require.Equal(t, []bool{false, false, true}, []bool{forTest(""), forTest("a"), forTest("d")})
}

func TestReadTaskErrors(t *testing.T) {
	const good = `{"text": "a text", "label": "x"}` + "\n"
	for name, test := range map[string]struct{ text, want string }{
		"empty":         {"", "holds no texts"},
		"no JSON":       {good + "text,label\n", "line 2: invalid character"},
		"an array":      {good + good + `["a", "b"]`, "line 3: json: cannot unmarshal array"},
		"two objects":   {`{"text": "a", "label": "b"} {}`, "line 1: something follows the object"},
		"no text":       {`{"label": "b"}`, `line 1: there is no "text"`},
		"blank text":    {good + "\n" + `{"text": " ", "label": "b"}`, `line 3: there is no "text"`},
		"no label":      {`{"text": "b"}`, `line 1: there is no "label"`},
		"null label":    {`{"text": "b", "label": null}`, `line 1: there is no "label"`},
		"list label":    {`{"text": "b", "label": ["x"]}`, `line 1: the "label" is no string`},
		"long line":     {good + strings.Repeat("x", jsonlines.MaxLine+1), "line 2 is longer than 16777216 bytes"},
		"one label":     {strings.Repeat(good, 9), `all texts have one label, ["x"]`},
		"rare label":    {strings.Repeat(good, 9) + `{"text": "b", "label": "y"}`, `of the label "x", 0 texts are in the training part and 9 in the test part`},
		"number label":  {`{"text": 5, "label": 1}`, "line 1: json: cannot unmarshal number"},
		"1 and \"1\"":   {`{"text": "a", "label": 1}` + "\n\n" + `{"text": "b", "label": "1"}`, "line 3: the label 1 is a string, and in line 1 it is a number"},
		"true twice":    {`{"text": "a", "label": "true"}` + "\n" + `{"text": "b", "label": true}`, "line 2: the label true is a truth value, and in line 1 it is a string"},
		"\"1\" and 1.0": {`{"text": "a", "label": "1"}` + "\n" + `{"text": "b", "label": "1.0"}`, "the labels 1 and 1.0 are the same number"},
		"empty label":   {good + `{"text": "a", "label": " "}`, `line 2: the "label" is empty`},
		"spaces":        {good + `{"text": "b", "label": "x "}`, `all texts have one label, ["x"]`},
		"Label":         {`{"text": "b", "Label": "x"}`, `line 1: there is no "label"`},
		"huge number":   {`{"text": "b", "label": 1e400}`, "line 1: the \"label\": "},
		"not UTF-8":     {good + "{\"text\": \"caf\xe9\", \"label\": 1}", "line 2 is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeLines(t, test.text)
			_, err := ReadTask(path)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, path)
			require.True(t, usererr.Is(err))
		})
	}
	_, err := ReadTask(filepath.Join(t.TempDir(), "absent.jsonl"))
	require.ErrorContains(t, err, "no such file")
	require.True(t, usererr.Is(err))
}

// Nothing that a file may hold is more than an error, and no text or label comes out empty.
func FuzzParseLabelled(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"text":"a","label":"b"}`, "{\"text\":\"a\",\"label\":1e400}\n{", "\ufeff\n{\"text\":\"\\ud800\",\"label\":false}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		all, err := parseLabelled(bytes.NewReader(file))
		if err != nil {
			require.Contains(t, err.Error(), "line ")
		}
		for _, l := range all {
			require.NotEmpty(t, strings.TrimSpace(l.text))
		}
	})
}
