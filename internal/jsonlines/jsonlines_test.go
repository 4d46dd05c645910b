// SPDX-License-Identifier: Apache-2.0

package jsonlines_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"metrolab/internal/jsonlines"
)

// read returns the texts and their lines up to the first error.
func read(text string) (texts []string, numbers []int, err error) {
	for line, err := range jsonlines.Lines(strings.NewReader(text)) {
		var v struct{ Text string }
		if err == nil {
			err = line.Decode(&v)
		}
		if err != nil {
			return texts, numbers, err
		}
		texts, numbers = append(texts, v.Text), append(numbers, line.Number)
	}
	return texts, numbers, nil
}

func TestLinesAsPeopleWriteThem(t *testing.T) {
	texts, numbers, err := read("\ufeff{\"text\": \"a\"}\r\n\r\n \t\n  {\"id\": 7, \"text\": \"b\"} \n\n{\"text\": \"ß\"}")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "ß"}, texts)
	require.Equal(t, []int{1, 4, 6}, numbers)
}

// A field whose name differs in case is another field, wherever it stands, and passed over as others are.
func TestFieldsAreReadUnderTheirNames(t *testing.T) {
	for text, want := range map[string]string{
		`{"text": "a", "TEXT": "b"}`: "a", `{"Text": "b", "text": "a"}`: "a", `{"Text": 5, "text": "a", "n": 1}`: "a", `{"TEXT": "b"}`: "",
	} {
		for line, err := range jsonlines.Lines(strings.NewReader(text)) {
			require.NoError(t, err)
			var v struct {
				Text string `json:"text"`
			}
			require.NoError(t, line.Decode(&v))
			require.Equal(t, want, v.Text, text)
		}
	}
}

func TestLinesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"{}\n{\"text\": \"caf\xe9\"}":                           "line 2 is not UTF-8",
		"\xff\xfe{\x00}\x00":                                    "line 1 is not UTF-8",
		"{}\n" + strings.Repeat(" ", jsonlines.MaxLine+1) + "x": "line 2 is longer than 16777216 bytes",
		"{} {}":  "something follows the object",
		"[1, 2]": "cannot unmarshal array",
	} {
		_, _, err := read(text)
		require.ErrorContains(t, err, want)
	}
	_, _, err := read("{\"text\": \"" + strings.Repeat("x", jsonlines.MaxLine-12) + "\"}\n{}")
	require.NoError(t, err, "a line as long as may be")
	for line, err := range jsonlines.Lines(iotest.ErrReader(errors.New("unplugged"))) {
		require.ErrorContains(t, err, "line 1: unplugged")
		require.Equal(t, 1, line.Number)
	}
}
