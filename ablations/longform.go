// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/viz/table"
)

// LongForm says how a table of anybody's results is read: one row a run, with columns for its arm, its seed and its outcome.
// Other columns are left alone.
type LongForm struct {
	Arm, Seed, Value string // names of the columns
	Baseline         string // the arm that the others are compared with
}

// Read reads a table in CSV with a header line; path stands in the errors. Seeds are whole numbers. A value is a number; NaN and
// Inf stand for a run that failed, and nothing for one without an outcome, which is a gap. Arms come in the order in which they
// first appear. What cannot be read, a run that stands twice, and a baseline that is no arm are the user's errors, with the line.
func (f LongForm) Read(path string, from io.Reader) (baseline Outcomes, arms []Outcomes, err error) {
	text := bufio.NewReader(from)
	if mark, err := text.Peek(3); err == nil && bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = text.Discard(len(mark)) // a byte order mark, as spreadsheets write it
	}
	rows := csv.NewReader(text)
	rows.ReuseRecord = true
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return baseline, nil, usererr.New("%s is empty: it should begin with a line of column names", path)
	}
	if err != nil {
		return baseline, nil, usererr.New("read %s: %w", path, err)
	}
	var columns [3]int
	for i, name := range []string{f.Arm, f.Seed, f.Value} {
		if columns[i], err = column(header, name); err != nil {
			return baseline, nil, usererr.New("%s:1: %w", path, err)
		}
	}
	places := map[string]int{}
	type run struct {
		arm  string
		seed int64
	}
	lines := map[run]int{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return baseline, nil, usererr.New("read %s: %w", path, err)
		}
		line, _ := rows.FieldPos(0)
		name, seedText, valueText := strings.Clone(row[columns[0]]), row[columns[1]], strings.TrimSpace(row[columns[2]])
		seed, err := strconv.ParseInt(strings.TrimSpace(seedText), 10, 64)
		if err != nil {
			return baseline, nil, usererr.New("%s:%d: the seed is %q, and not a whole number", path, line, seedText)
		}
		if name == "" {
			return baseline, nil, usererr.New("%s:%d: the run at seed %d has no arm", path, line, seed)
		}
		if before, twice := lines[run{name, seed}]; twice {
			return baseline, nil, usererr.New("%s:%d: %q at seed %d stands in line %d already", path, line, name, seed, before)
		}
		lines[run{name, seed}] = line
		place, known := places[name]
		if !known {
			place = len(arms)
			places[name] = place
			arms = append(arms, Outcomes{Name: name, BySeed: map[int64]float64{}})
		}
		if valueText == "" {
			arms[place].Missing = append(arms[place].Missing, seed)
			continue
		}
		value, err := strconv.ParseFloat(valueText, 64)
		if err != nil {
			return baseline, nil, usererr.New("%s:%d: %s is %q, and not a number; write NaN for a run that failed, and nothing for one without an outcome", path, line, f.Value, valueText)
		}
		arms[place].BySeed[seed] = value
	}
	place, known := places[f.Baseline]
	if !known {
		return baseline, nil, usererr.New("%s has no arm %q to compare with; it has %s", path, f.Baseline, quoted(arms))
	}
	baseline = arms[place]
	if arms = slices.Delete(arms, place, place+1); len(arms) == 0 {
		return baseline, nil, usererr.New("%s has no arm but %q, so there is nothing to compare", path, f.Baseline)
	}
	return baseline, arms, nil
}

// column is the place of the one column of that name.
func column(header []string, name string) (int, error) {
	place := slices.Index(header, name)
	if place < 0 {
		return 0, usererr.New("there is no column %q; there are %q", name, header)
	}
	if slices.Contains(header[place+1:], name) {
		return 0, usererr.New("there are two columns %q", name)
	}
	return place, nil
}

// quoted names arms for an error, the first few of many.
func quoted(arms []Outcomes) string {
	const most = 12
	var names []string
	for _, arm := range arms[:min(most, len(arms))] {
		names = append(names, strconv.Quote(arm.Name))
	}
	if len(arms) > most {
		names = append(names, "…")
	}
	if len(names) == 0 {
		return "no runs"
	}
	return strings.Join(names, ", ")
}

// ComparisonTable is that of [Results.Table] for outcomes of any origin.
func ComparisonTable(label string, baseline Outcomes, comparisons []Comparison) table.Table {
	return comparisonTable(label, ".3f", baseline, comparisons, nil)
}
