// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

// answers is where the answers of predict go, one a line: a stream, or a file that gets its name when all are in it.
type answers struct {
	stream io.Writer
	file   *atomicfile.Growing // nil for a stream
	path   string
	lines  int // of the output
	last   int // line of the input that was answered last
}

// openAnswers writes to the file at path, which must be vacant, or to stdout if path is - or empty.
func openAnswers(path string, stdout io.Writer) (*answers, error) {
	if path == "" || path == "-" {
		return &answers{stream: stdout}, nil
	}
	if err := vacant("--output", path); err != nil {
		return nil, err
	}
	file, err := atomicfile.Grow(path)
	if err != nil {
		return nil, usererr.New("--output: %s cannot be written: %w", path, err)
	}
	return &answers{file: file, path: path}, nil
}

// write adds the answer to a line of the input.
func (a *answers) write(line int, v answer) error {
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(v); err != nil {
		return fmt.Errorf("write the answer to line %d: %w", line, err)
	}
	var err error
	if a.file != nil {
		err = a.file.Append(text.Bytes())
	} else {
		_, err = a.stream.Write(text.Bytes())
	}
	if err != nil {
		return usererr.New("the answer to line %d cannot be written: %w", line, err)
	}
	a.lines, a.last = a.lines+1, line
	return nil
}

// close ends the answers, which stopped for a reason if it is not nil. It adds to that how far they are.
func (a *answers) close(reason error) error {
	if reason == nil && a.file != nil {
		if err := a.file.Place(a.path); err != nil {
			reason = usererr.New("--output: %s cannot be written: %w", a.path, err)
		}
	}
	if reason == nil {
		return nil
	}
	if a.lines == 0 {
		if a.file != nil {
			_ = a.file.Remove() // the next writer does it otherwise
		}
		return reason
	}
	where := "written"
	if a.file != nil {
		path, err := a.keep()
		if err != nil {
			return fmt.Errorf("%w; the answers so far, %d, are lost: %w", reason, a.lines, err)
		}
		where = "in " + path
	}
	return fmt.Errorf("%w; the answers to what is before line %d, %d lines, are %s; go on from there, tail -n +%d FILE | metro predict --input - …, or give the command again",
		reason, a.last+1, a.lines, where, a.last+1)
}

// keep gives unfinished answers the first vacant name of path.partial, path.partial-2 and so on.
func (a *answers) keep() (path string, err error) {
	path = a.path + ".partial"
	for n := 2; ; n++ {
		if err = a.file.Place(path); !errors.Is(err, fs.ErrExist) {
			return path, err
		}
		path = fmt.Sprintf("%s.partial-%d", a.path, n)
	}
}
