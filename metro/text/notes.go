// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
)

// notes gathers what is to be said of the files of a corpus that are read.
type notes struct {
	bytes   tally             // of all files
	objects objects           // of all files
	bad     map[string]string // what is to be said of a file's bytes, by its label
	without map[string]string // and of its objects
}

func newNotes() notes { return notes{bad: map[string]string{}, without: map[string]string{}} }

func (n *notes) add(f textFile, what found) {
	n.bytes.total += what.bytes.total
	n.bytes.bad += what.bytes.bad
	if what.bytes.bad > 0 {
		n.bad[f.label] = what.bytes.String()
	}
	o := what.objects
	n.objects.all += o.all
	n.objects.without += o.without
	switch {
	case n.objects.noun == "" || o.noun == "":
		n.objects.noun += o.noun
	case n.objects.noun != o.noun:
		n.objects.noun = "object or row"
	}
	if o.without > 0 {
		n.without[f.label] = fmt.Sprintf("%s of %s %ss have no text in that field, the first is %[3]s %[4]s",
			humanize.Comma(o.without), humanize.Comma(o.all), strings.TrimPrefix(o.noun, "JSON "), humanize.Comma(o.first))
	}
	for _, name := range o.fields {
		if len(n.objects.fields) < 100 && !slices.Contains(n.objects.fields, name) {
			n.objects.fields = append(n.objects.fields, name)
		}
	}
}

// lines are the notes, a sentence each.
func (n *notes) lines(l listing, field string, duplicates int64) (lines []string) {
	if passed := l.passed.String(); passed != "" {
		line := fmt.Sprintf("passed over in %s: %s", l.root, passed)
		if field == "" && slices.ContainsFunc(l.passed[otherKind], hasFields) {
			what := "JSON is"
			if slices.ContainsFunc(l.passed[otherKind], func(name string) bool { return byName[extension(name)] == kindParquet }) {
				what = "JSON and Parquet are"
			}
			line += "; " + what + " read if data.field names the field that holds the text"
		}
		lines = append(lines, line)
	}
	if len(n.bad) > 0 {
		lines = append(lines, "not all of the text is UTF-8, each bad byte is read as U+FFFD: "+ofFiles(n.bad))
	}
	if len(n.without) > 0 {
		lines = append(lines, fmt.Sprintf("not every %s has a text in the field %q, the others are left out: %s", n.objects.noun, field, ofFiles(n.without)))
	}
	if duplicates > 0 {
		lines = append(lines, fmt.Sprintf("%s of the text stood there before, word for word, and are left out (those of fewer than %d bytes, as refrains and headings are, stay)",
			counted(int(duplicates), "paragraph", "paragraphs"), refrainBytes))
	}
	return lines
}

// ofFiles says something of each of the first few files.
func ofFiles(said map[string]string) string {
	const few = 3
	var parts []string
	for _, label := range slices.Sorted(maps.Keys(said)) {
		if len(parts) == few {
			parts = append(parts, counted(len(said)-few, "more file", "more files"))
			break
		}
		parts = append(parts, enumerate([]string{label}, 1)+" ("+said[label]+")")
	}
	return strings.Join(parts, ", ")
}
