// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/jsonlines"
	"metrolab/internal/packed"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// ReadTask reads the user's own labelled texts: a file of JSON objects, packed or not, one a line, each with a "text" and a "label"
// (a string, a number or a truth value); other keys and blank lines are passed over. Labels that are equal as numbers, 1
// and 1.0, are one; strings that are, and a label that is a string here and a number there, are an error. A text's hash says which part it
// is in, one in five being for testing, so that equal texts are always in the same.
//
// A line that is something else, fewer than two labels, and a label that one of the parts lacks are the user's
// mistakes.
func ReadTask(path string) (Classification, error) {
	file, err := packed.Open(path)
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
	name := packed.Trim(filepath.Base(path))
	t := Classification{Name: strings.TrimSuffix(name, filepath.Ext(name)), Source: path}
	t.Classes = slices.Sorted(maps.Keys(labels))
	if err := oneWriting(t.Classes); err != nil {
		return Classification{}, usererr.New("%s: %w", path, err)
	}
	for class, label := range t.Classes {
		labels[label] = class
	}
	for _, l := range labelled {
		part := &t.Train
		if forTest(l.text) {
			part = &t.Test
		}
		*part = append(*part, Example{Text: l.text, Class: labels[l.label]})
	}
	return t, t.Check()
}

// oneWriting is the user's error if two labels are the same number, 1 and 1.0: a program that wrote the one here and the other
// there, as one does for a column with gaps, meant one class.
func oneWriting(labels []string) error {
	before := map[string]string{}
	for _, label := range labels {
		number, err := runs.Canonical(json.Number(label))
		if err != nil {
			continue // a text
		}
		if other, ok := before[string(number)]; ok {
			return usererr.New("the labels %s and %s are the same number; write the label of a class in one way or, if they are two classes, list them in a task file, labels: [%q, %q]", other, label, other, label)
		}
		before[string(number)] = label
	}
	return nil
}

// writings are what each label of a file is written as, where it stands first.
type writings map[string]struct {
	kind string
	line int
}

// add is the error for a label that is a string here and a number there.
func (w writings) add(label, kind string, line int) error {
	before, ok := w[label]
	if !ok {
		before.kind, before.line = kind, line
		w[label] = before
	}
	if before.kind != kind {
		return fmt.Errorf("line %d: the label %s is a %s, and in line %d it is a %s; write the label of a class in one way", line, label, kind, before.line, before.kind)
	}
	return nil
}

func forTest(text string) bool {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])%5 == 4
}

// labelled is a text and its label, and what that is written as: a string, a number or a truth value.
type labelled struct{ text, label, kind string }

// parseLabelled reads the lines of r. Its errors begin with the number of the line.
func parseLabelled(r io.Reader) ([]labelled, error) {
	var all []labelled
	written := writings{}
	for line, err := range jsonlines.Lines(r) {
		if err != nil {
			return nil, err
		}
		l, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf(`line %d: %w; it should be such as {"text": "…", "label": "…"}`, line.Number, err)
		}
		if err := written.add(l.label, l.kind, line.Number); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// parseLine reads one line. Labels are equal if they are as numbers: 1, 1.0 and 1e0.
func parseLine(line jsonlines.Line) (labelled, error) {
	var fields struct {
		Text  *string `json:"text"`
		Label any     `json:"label"`
	}
	if err := line.Decode(&fields); err != nil {
		return labelled{}, err
	}
	if fields.Text == nil || strings.TrimSpace(*fields.Text) == "" {
		return labelled{}, errors.New(`there is no "text", or an empty one`)
	}
	switch label := fields.Label.(type) {
	case string:
		if label = strings.TrimSpace(label); label == "" {
			return labelled{}, errors.New(`the "label" is empty`)
		}
		return labelled{*fields.Text, label, "string"}, nil
	case bool:
		return labelled{*fields.Text, strconv.FormatBool(label), "truth value"}, nil
	case json.Number:
		number, err := runs.Canonical(label)
		if err != nil {
			return labelled{}, fmt.Errorf(`the "label": %w`, err)
		}
		return labelled{*fields.Text, string(number), "number"}, nil
	case nil:
		return labelled{}, errors.New(`there is no "label"`)
	default:
		return labelled{}, errors.New(`the "label" is no string, number or truth value`)
	}
}
