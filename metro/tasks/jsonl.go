// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/usererr"
)

// maxLine is the longest line of a file of labelled texts, in bytes.
const maxLine = 16 << 20

// ReadTask reads the user's own labelled texts: a file of JSON objects, one a line, each with a "text" and a "label"
// (a string, a number or a truth value); other keys and blank lines are passed over. A text's hash says which part it
// is in, one in five being for testing, so that equal texts are always in the same.
//
// A line that is something else, fewer than two labels, and a label that one of the parts lacks are the user's
// mistakes.
func ReadTask(path string) (Classification, error) {
	file, err := os.Open(path)
	if err != nil {
		return Classification{}, usererr.New("labelled texts: %w", err)
	}
	defer file.Close()
	labelled, err := parseLabelled(file)
	if err != nil {
		return Classification{}, usererr.New("%s: %w", path, err)
	}
	if len(labelled) == 0 {
		return Classification{}, usererr.New(`%s holds no texts; it should have a line such as {"text": "…", "label": "…"} for each`, path)
	}
	labels := map[string]int{}
	for _, l := range labelled {
		labels[l.label] = 0
	}
	t := Classification{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), Source: path}
	t.Classes = slices.Sorted(maps.Keys(labels))
	for class, label := range t.Classes {
		labels[label] = class
	}
	for _, l := range labelled {
		part := &t.Train
		if forTest(l.text) {
			part = &t.Test
		}
		*part = append(*part, Example{l.text, labels[l.label]})
	}
	return t, t.Check()
}

func forTest(text string) bool {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])%5 == 4
}

type labelled struct{ text, label string }

// parseLabelled reads the lines of r. Its errors begin with the number of the line.
func parseLabelled(r io.Reader) ([]labelled, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var all []labelled
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		l, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf(`line %d: %w; it should be such as {"text": "…", "label": "…"}`, n, err)
		}
		all = append(all, l)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d is longer than %d bytes", n+1, maxLine)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return all, nil
}

func parseLine(line []byte) (labelled, error) {
	var fields struct {
		Text  *string
		Label any
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber() // 10000000000000001 stays itself
	if err := decoder.Decode(&fields); err != nil {
		return labelled{}, err
	}
	if decoder.InputOffset() < int64(len(bytes.TrimRight(line, " \t\r"))) {
		return labelled{}, errors.New("something follows the object")
	}
	if fields.Text == nil || strings.TrimSpace(*fields.Text) == "" {
		return labelled{}, errors.New(`there is no "text", or an empty one`)
	}
	switch label := fields.Label.(type) {
	case string, json.Number, bool:
		return labelled{*fields.Text, fmt.Sprint(label)}, nil
	case nil:
		return labelled{}, errors.New(`there is no "label"`)
	default:
		return labelled{}, errors.New(`the "label" is no string, number or truth value`)
	}
}
