// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
)

// Set changes one field of c by assignment, "path=value", where path is made of the JSON names: "optimizer.learning_rate=2e-3". An
// unknown path is an error that names the nearest right one; a value of the wrong type is an error that says which
// type is wanted. c is unchanged on error.
func (c *Config) Set(assignment string) error {
	path, value, ok := strings.Cut(assignment, "=")
	if !ok {
		return usererr.New("%q is not an assignment; write path=value, for example optimizer.learning_rate=2e-3", assignment)
	}
	path = strings.TrimSpace(path)
	field, ok := fields(reflect.ValueOf(c).Elem(), "")[path]
	if !ok {
		return usererr.New("there is no config field %q; did you mean %q?", path, nearest(path, c.Paths()))
	}
	return assign(field, path, strings.TrimSpace(value))
}

// Paths lists the path of every field of c, sorted.
func (c *Config) Paths() []string {
	var paths []string
	for path := range fields(reflect.ValueOf(c).Elem(), "") {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// fields maps the path of every leaf of the struct v to it.
func fields(v reflect.Value, prefix string) map[string]reflect.Value {
	leaves := map[string]reflect.Value{}
	for i := range v.NumField() {
		path := prefix + v.Type().Field(i).Tag.Get("json")
		if f := v.Field(i); f.Kind() == reflect.Struct {
			for p, leaf := range fields(f, path+".") {
				leaves[p] = leaf
			}
		} else {
			leaves[path] = f
		}
	}
	return leaves
}

func assign(field reflect.Value, path, value string) error {
	switch field.Kind() {
	case reflect.String:
		field.SetString(value)
	case reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return usererr.New("%s wants true or false, not %q", path, value)
		}
		field.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return usererr.New("%s wants a whole number, not %q", path, value)
		}
		field.SetInt(n)
	default:
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || x != x || x-x != 0 {
			return usererr.New("%s wants a finite number, not %q", path, value)
		}
		field.SetFloat(x)
	}
	return nil
}

// nearest returns the path that key most likely stands for. A key may lack the path's room ("steps"), and be its last
// part's beginning ("batch") or initials ("lr").
func nearest(key string, paths []string) string {
	room, leaf := cutLeaf(key)
	distance := func(path string) int {
		pathRoom, pathLeaf := cutLeaf(path)
		d := editDistance(leaf, pathLeaf)
		if strings.HasPrefix(pathLeaf, leaf) || leaf == initials(pathLeaf) {
			d = 0
		}
		if room != "" {
			d += editDistance(room, pathRoom)
		}
		return min(d, editDistance(key, path))
	}
	return slices.MinFunc(paths, func(a, b string) int { return distance(a) - distance(b) })
}

// cutLeaf parts a path at its last dot.
func cutLeaf(path string) (room, leaf string) {
	dot := strings.LastIndexByte(path, '.')
	return path[:max(dot, 0)], path[dot+1:]
}

// initials are the first letters of the words of a name: "lr" of "learning_rate".
func initials(name string) string {
	var letters strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		letters.WriteString(word[:1])
	}
	return letters.String()
}

// editDistance is Levenshtein's, in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
