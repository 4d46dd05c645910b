// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// maxObject bounds the JSON objects that are read, and with them memory.
const maxObject = 64 << 20

// objects counts the JSON objects of a file, or the rows of a table.
type objects struct {
	noun         string // what one is called
	all, without int64
	first        int64    // the first one without a text in the field, from 1
	fields       []string // of the first objects, in the order in which they are met; those with a text first
}

// fieldTexts streams the texts in one field of a file's JSON objects, a line each, one after the other, or in an array.
// Objects in which the field is missing, or is no text, are counted.
func fieldTexts(in *bufio.Reader, field string, emit func(text string) error) (found objects, err error) {
	found.noun = "JSON object"
	if err := skipByteOrderMark(in); err != nil {
		return found, err
	}
	bound := &budget{r: in}
	dec := json.NewDecoder(bound)
	first, err := firstByte(in)
	if err == io.EOF {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	bound.left = maxObject
	if first == '[' {
		if _, err := dec.Token(); err != nil {
			return found, err
		}
	}
	for first != '[' || dec.More() {
		bound.left = maxObject
		var object map[string]json.RawMessage
		if err := dec.Decode(&object); err == io.EOF && first != '[' {
			return found, nil
		} else if err != nil {
			return found, fmt.Errorf("object %d, byte %d: %w", found.all+1, dec.InputOffset(), noObject(err))
		}
		found.all++
		if found.all <= 100 {
			found.list(object)
		}
		text, ok := textIn(object, field)
		if !ok {
			if found.without++; found.without == 1 {
				found.first = found.all
			}
			continue
		}
		if err := emit(text); err != nil {
			return found, err
		}
	}
	if _, err = dec.Token(); err != nil {
		return found, err
	}
	return found, nil
}

// textIn returns the text in a field of an object, or of an object in it: the field a.b is b of a, unless there is one of that
// name.
func textIn(object map[string]json.RawMessage, field string) (string, bool) {
	value, ok := object[field]
	if !ok {
		outer, inner, nested := strings.Cut(field, ".")
		var within map[string]json.RawMessage
		if !nested || json.Unmarshal(object[outer], &within) != nil {
			return "", false
		}
		return textIn(within, inner)
	}
	var text *string
	if json.Unmarshal(value, &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}

// list remembers the names of an object's fields, and of those of the objects in it that have a text.
func (o *objects) list(object map[string]json.RawMessage) {
	var texts, others []string
	for name, value := range object {
		var within map[string]json.RawMessage
		switch {
		case slices.Contains(o.fields, name):
		case strings.HasPrefix(string(value), `"`):
			texts = append(texts, name)
		case strings.HasPrefix(string(value), "{") && json.Unmarshal(value, &within) == nil:
			for inner, value := range within {
				if full := name + "." + inner; strings.HasPrefix(string(value), `"`) && !slices.Contains(o.fields, full) {
					texts = append(texts, full)
				}
			}
		default:
			others = append(others, name)
		}
	}
	slices.Sort(texts)
	slices.Sort(others)
	o.fields = slices.Concat(o.fields, texts, others)
}

// String lists the fields.
func (o *objects) String() string {
	if len(o.fields) == 0 {
		return "none"
	}
	return enumerate(o.fields, 12)
}

// noObject says of what is JSON but no object that it is none.
func noObject(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("it is a JSON %s, not an object with fields", e.Value)
	}
	return err
}

// firstByte returns the first byte that is not white space, and leaves it.
func firstByte(in *bufio.Reader) (byte, error) {
	for {
		c, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		if !unicode.IsSpace(rune(c)) {
			return c, in.UnreadByte()
		}
	}
}

// budget ends a reader that has given more than was left to it.
type budget struct {
	r    io.Reader
	left int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("longer than %d MiB", maxObject>>20)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}
