// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Canonical returns the one JSON text of a value: keys sorted by their bytes, no spaces, every number in its shortest
// form. 1, 1.0 and 1e0 are equal; whole numbers written without a point stay exact at any size. Values that have the
// same canonical text are the same configuration.
func Canonical(v any) ([]byte, error) {
	tree, err := jsonTree(v)
	if err != nil {
		return nil, err
	}
	return canonicalText(tree), nil
}

// Flatten returns the leaves of a JSON document by their dotted path, as in "training.steps" or "arms[0].name". A key
// that itself holds a dot, a bracket or a quote, or nothing, stands in quotes. Leaves are string, bool, nil,
// [json.Number] in canonical form, and the empty map[string]any and []any.
func Flatten(v any) (map[string]any, error) {
	tree, err := jsonTree(v)
	if err != nil {
		return nil, err
	}
	leaves := map[string]any{}
	flatten(leaves, "", tree)
	return leaves, nil
}

func flatten(leaves map[string]any, path string, node any) {
	switch node := node.(type) {
	case map[string]any:
		for key, child := range node {
			if key == "" || strings.ContainsAny(key, `.[]"`) {
				key = strconv.Quote(key)
			}
			if path != "" {
				key = path + "." + key
			}
			flatten(leaves, key, child)
		}
		if len(node) > 0 {
			return
		}
	case []any:
		for i, child := range node {
			flatten(leaves, fmt.Sprintf("%s[%d]", path, i), child)
		}
		if len(node) > 0 {
			return
		}
	}
	leaves[path] = node
}

// jsonTree turns a value into what JSON knows of it, numbers in canonical form.
func jsonTree(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("value of type %T has no JSON: %w", v, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	return canonicalNumbers(tree)
}

func canonicalNumbers(node any) (_ any, err error) {
	switch node := node.(type) {
	case map[string]any:
		for key := range node {
			if node[key], err = canonicalNumbers(node[key]); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range node {
			if node[i], err = canonicalNumbers(node[i]); err != nil {
				return nil, err
			}
		}
	case json.Number:
		return canonicalNumber(node)
	}
	return node, nil
}

func canonicalNumber(number json.Number) (json.Number, error) {
	text := number.String()
	if text == "-0" {
		return "0", nil
	}
	if !strings.ContainsAny(text, ".eE") {
		return number, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "", fmt.Errorf("number %.40s does not fit 64 bits", text)
	}
	if value == math.Trunc(value) && math.Abs(value) < 1<<53 {
		return json.Number(strconv.FormatInt(int64(value), 10)), nil
	}
	return json.Number(canonicalText(value)), nil
}

// canonicalText encodes what jsonTree returned, which always has JSON.
func canonicalText(tree any) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// Difference is a field in which two documents differ, with both values as JSON; the side that lacks the field has "".
type Difference struct {
	Path string
	A, B string
}

func (d Difference) String() string {
	side := func(value string) string {
		if value == "" {
			return "absent"
		}
		return value
	}
	return fmt.Sprintf("%s: %s and %s", d.Path, side(d.A), side(d.B))
}

// differences compares two documents field by field, in the order of the paths.
func differences(a, b any) ([]Difference, error) {
	left, err := Flatten(a)
	if err != nil {
		return nil, err
	}
	right, err := Flatten(b)
	if err != nil {
		return nil, err
	}
	paths := maps.Clone(left)
	maps.Copy(paths, right)
	var found []Difference
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if a, b := leafText(left, path), leafText(right, path); a != b {
			found = append(found, Difference{Path: path, A: a, B: b})
		}
	}
	return found, nil
}

func leafText(leaves map[string]any, path string) string {
	leaf, ok := leaves[path]
	if !ok {
		return ""
	}
	return string(canonicalText(leaf))
}
