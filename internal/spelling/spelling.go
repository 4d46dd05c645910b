// SPDX-License-Identifier: Apache-2.0

// Package spelling finds the name that somebody most likely meant, and writes numbers with their nouns.
package spelling

import (
	"slices"
	"strconv"
	"strings"
)

// Nearest returns the name that key most likely stands for, the first of equals. Names may be paths, "optimizer.learning_rate",
// of which a key may lack the section ("steps"), or be the beginning of the last part ("batch") or its initials ("lr"). It
// panics if there are no names.
func Nearest(key string, names []string) string {
	section, leaf := cutLeaf(key)
	distance := func(name string) int {
		nameSection, nameLeaf := cutLeaf(name)
		d := Distance(leaf, nameLeaf)
		if strings.HasPrefix(nameLeaf, leaf) || leaf == initials(nameLeaf) {
			d = 0
		}
		if section != "" {
			d += Distance(section, nameSection)
		}
		return min(d, Distance(key, name))
	}
	return slices.MinFunc(names, func(a, b string) int { return distance(a) - distance(b) })
}

// cutLeaf parts a path at its last dot.
func cutLeaf(path string) (section, leaf string) {
	dot := strings.LastIndexByte(path, '.')
	return path[:max(dot, 0)], path[dot+1:]
}

// initials are the first letters of the words of a name: "lr" of "learning_rate".
func initials(name string) string {
	var letters strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		letters.WriteString(word[:min(1, len(word))])
	}
	return letters.String()
}

// Distance is Levenshtein's, in bytes.
func Distance(a, b string) int {
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

// Plural is the number with its noun: "1 seed", "3 seeds".
func Plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
