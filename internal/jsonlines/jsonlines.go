// SPDX-License-Identifier: Apache-2.0

// Package jsonlines reads files of JSON objects, one a line, as programs and people write them: with a byte order mark or
// without, lines that end in LF or CRLF, blank lines between them, and fields that nobody asked for.
package jsonlines

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxLine is the longest line that is read, in bytes.
const MaxLine = 16 << 20

// Line is a line that is not blank.
type Line struct {
	Number int    // from 1, blank lines counted
	Text   []byte // without its end, until the next line is read
}

// Lines reads r line by line, as far as it is asked to. The last error, if there is one, names its line: one that is longer
// than [MaxLine] or not UTF-8, or what r says.
func Lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 0, 64<<10), MaxLine+1)
		n := 0
		for scanner.Scan() {
			n++
			text := scanner.Bytes()
			if n == 1 {
				text = bytes.TrimPrefix(text, []byte("\ufeff"))
			}
			if text = bytes.TrimSpace(text); len(text) == 0 {
				continue
			}
			if !utf8.Valid(text) {
				yield(Line{Number: n}, fmt.Errorf("line %d is not UTF-8; save the text as UTF-8", n))
				return
			}
			if !yield(Line{n, text}, nil) {
				return
			}
		}
		switch err := scanner.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(Line{Number: n + 1}, fmt.Errorf("line %d is longer than %d bytes", n+1, MaxLine))
		case err != nil:
			yield(Line{Number: n + 1}, fmt.Errorf("line %d: %w", n+1, err))
		}
	}
}

// Decode reads the line into v, a pointer to a map or to a struct whose fields have their names in tags: an object, and nothing
// behind it. A field is read under its name alone, not under one that differs in case, as "TEXT" beside "text" does. Numbers for
// fields of type any stay as they are written, as [json.Number].
func (l Line) Decode(v any) error {
	text := l.Text
	if names := tags(v); names != nil {
		var object map[string]json.RawMessage
		if err := whole(text, &object); err != nil {
			return err
		}
		before := len(object)
		maps.DeleteFunc(object, func(key string, _ json.RawMessage) bool {
			return !slices.Contains(names, key) && slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, key) })
		})
		if len(object) < before {
			text, _ = json.Marshal(object) // what has just been read
		}
	}
	return whole(text, v)
}

// whole reads a text that is one value.
func whole(text []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if decoder.InputOffset() < int64(len(text)) {
		return errors.New("something follows the object")
	}
	return nil
}

// tags are the names of the fields of the struct that v points to; nil if it points to something else.
func tags(v any) (names []string) {
	t := reflect.TypeOf(v).Elem()
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
