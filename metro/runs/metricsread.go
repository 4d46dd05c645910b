// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
)

const (
	stepField = "step"
	maxLine   = 1 << 20 // bytes; a file of one endless line must not fill the memory
)

// Row is one line of a run's log.
type Row struct {
	Step   int
	Values Values
}

// Recorded lists the keys of all values in rows, in the order of their bytes.
func Recorded(rows []Row) []string {
	keys := map[string]bool{}
	for _, row := range rows {
		for key := range row.Values {
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// Curve returns the steps at which rows have a value of that key, and the values. It leaves out NaN, which is what a rate
// over nothing is.
func Curve(rows []Row, key string) (steps, values []float64) {
	for _, row := range rows {
		if v, ok := row.Values[key]; ok && !math.IsNaN(v) {
			steps, values = append(steps, float64(row.Step)), append(values, v)
		}
	}
	return steps, values
}

func rowText(step int, values Values) []byte {
	text := strconv.AppendInt([]byte(`{"`+stepField+`":`), int64(step), 10)
	if len(values) > 0 {
		text = values.appendFields(append(text, ','))
	}
	return append(text, "}\n"...)
}

func parseRow(text []byte) (Row, error) {
	var values Values
	if err := values.UnmarshalJSON(text); err != nil {
		return Row{}, err
	}
	step, ok := values[stepField]
	if !ok || step < 0 || step >= 1<<53 || step != float64(int(step)) {
		return Row{}, fmt.Errorf("%q is missing or not a whole number from 0", stepField)
	}
	delete(values, stepField)
	return Row{Step: int(step), Values: values}, nil
}

// ReadMetrics reads a log, also while it is being written. A torn last line is passed over; damaged lines elsewhere
// are passed over too, and come back as an error with their numbers beside all rows that are good.
func ReadMetrics(path string) ([]Row, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer file.Close()
	rows, err := readRows(file)
	if err != nil {
		return rows, fmt.Errorf("read metrics %s: %w", path, err)
	}
	return rows, nil
}

// ReadMetrics reads the run's log as [ReadMetrics] does. The result of a finished run says what the log held at its end: what
// a process that had lost the run wrote behind that is left out, and a log that is not what it was comes back as an error
// beside the rows that can be read.
func (r *Run) ReadMetrics() ([]Row, error) {
	path := r.Path(MetricsFile)
	mark, err := r.endOfLog()
	if err != nil || mark == (Mark{}) {
		rows, reading := ReadMetrics(path)
		return rows, errors.Join(err, reading)
	}
	file, err := r.store.disk.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer file.Close()
	rows, err := readRows(io.LimitReader(file, mark.Bytes))
	if err = errors.Join(err, holds(r.store.disk, path, mark)); err != nil {
		return rows, fmt.Errorf("read metrics %s: %w", path, err)
	}
	return rows, nil
}

// endOfLog is the mark of the log that the run's result holds, as its member "log"; none of a run that is not finished, or was
// finished before marks were.
func (r *Run) endOfLog() (Mark, error) {
	var result struct {
		Log Mark `json:"log"`
	}
	err := readSealed(r.store.disk, r.Path(ResultFile), &result)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return result.Log, err
}

func readRows(r io.Reader) ([]Row, error) {
	const named = 10
	var rows []Row
	var damage []error
	count := 0
	err := scanLines(r, func(l line) bool {
		switch {
		case l.err == nil:
			rows = append(rows, l.row)
		case !l.torn:
			if count++; count <= named {
				damage = append(damage, fmt.Errorf("line %d is damaged: %w", l.number, l.err))
			}
		}
		return true
	})
	if count > named {
		damage = append(damage, fmt.Errorf("and %d more lines", count-named))
	}
	return rows, errors.Join(append(damage, err)...)
}

// line is one line of a log: a row, or why it is none.
type line struct {
	number int
	end    int64 // offset of the byte after it
	row    Row
	err    error
	torn   bool // the last one, without its end; err says so too
}

var errTorn = errors.New("the line has no end")

// scanLines calls each with the lines in their order until it returns false. Its own error is the reader's.
func scanLines(r io.Reader, each func(line) bool) error {
	in := bufio.NewReaderSize(r, 16<<10)
	offset := int64(0)
	for number := 1; ; number++ {
		text, length, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if length == 0 {
			return nil
		}
		offset += length
		l := line{number: number, end: offset}
		switch {
		case err != nil:
			l.torn, l.err = true, errTorn
		case length > maxLine:
			l.err = fmt.Errorf("%d bytes are more than the %d of the longest line", length, maxLine)
		default:
			l.row, l.err = parseRow(bytes.TrimSuffix(text, []byte("\n")))
		}
		if !each(l) || l.torn {
			return nil
		}
	}
}

// readLine returns a line with its end, and how long it is; of one that is too long, the text is cut.
func readLine(in *bufio.Reader) (text []byte, length int64, err error) {
	for {
		part, err := in.ReadSlice('\n')
		length += int64(len(part))
		if length <= maxLine {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, length, err
		}
	}
}
