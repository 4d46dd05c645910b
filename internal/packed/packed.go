// SPDX-License-Identifier: Apache-2.0

// Package packed reads files of text that gzip or zstd may have packed, whatever they are called.
package packed

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"metrolab/internal/usererr"
)

// Format is a way in which a file may be packed. It is known by the first bytes, and by the end of a name.
type Format struct {
	Name       string
	ext, magic string
	Open       func(packed io.Reader) (io.Reader, error)
}

// Gzip is what archives are packed by.
var Gzip = &Format{"gzip", ".gz", "\x1F\x8B", func(packed io.Reader) (io.Reader, error) { return gzip.NewReader(packed) }}

var formats = []*Format{Gzip, {"zstd", ".zst", zstdMagic, openZstd}}

const zstdMagic = "\x28\xB5\x2F\xFD"

// StartBytes is how much of a file's start [Of] looks at.
const StartBytes = 4

// Of returns how a file is packed that begins with start, or else is called as if it were; nil if it is not.
func Of(name string, start []byte) *Format {
	for _, f := range formats {
		if bytes.HasPrefix(start, []byte(f.magic)) {
			return f
		}
	}
	for _, f := range formats {
		if _, ends := f.trim(name); ends {
			return f
		}
	}
	return nil
}

// Trim leaves out the end of a name that says how the file is packed.
func Trim(name string) string {
	for _, f := range formats {
		if short, ends := f.trim(name); ends {
			return short
		}
	}
	return name
}

func (f *Format) trim(name string) (short string, ends bool) {
	n := len(name) - len(f.ext)
	if n <= 0 || !strings.EqualFold(name[n:], f.ext) {
		return name, false
	}
	return name[:n], true
}

// NewReader reads in, whose name is path, as it was before it was packed. A file that is not what its name says is the user's error.
func NewReader(path string, in io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(in)
	start, _ := buffered.Peek(StartBytes) // what is wrong with in, the first Read says
	f := Of(path, start)
	if f == nil {
		return buffered, nil
	}
	unpacked, err := f.Open(buffered)
	if err != nil {
		return nil, usererr.New("%s cannot be read as a %s file: %w", path, f.Name, err)
	}
	return unpacked, nil
}

// Open opens a file and reads it as [NewReader] does.
func Open(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in, err := NewReader(path, file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{in, file}, nil
}

// zstdWindow bounds the memory of reading zstd: what `zstd --ultra --long` asks for at most.
const zstdWindow = 128 << 20

// openZstd reads what zstd has packed, on the caller's goroutine. The decoder takes a file that is cut in its first bytes for
// an empty one, so that these are looked at here.
func openZstd(packed io.Reader) (io.Reader, error) {
	in := bufio.NewReader(packed)
	start, err := in.Peek(len(zstdMagic))
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if skippable := start[0]&0xF0 == 0x50 && string(start[1:]) == "\x2A\x4D\x18"; !skippable && string(start) != zstdMagic {
		return nil, zstd.ErrMagicMismatch
	}
	return zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
}
