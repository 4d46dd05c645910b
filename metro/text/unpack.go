// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// packing is a way in which a file of text may be packed. It is known by the first bytes, and by the end of a name.
type packing struct {
	name, ext, magic string
	open             func(packed io.Reader) (io.Reader, error)
}

var packings = []packing{
	{"gzip", ".gz", "\x1F\x8B", func(packed io.Reader) (io.Reader, error) { return gzip.NewReader(packed) }},
	{"zstd", ".zst", "\x28\xB5\x2F\xFD", openZstd},
}

// packingOf returns how a file is packed that begins with start, or nil if it is not.
func packingOf(path string, start []byte) *packing {
	for i, p := range packings {
		if bytes.HasPrefix(start, []byte(p.magic)) {
			return &packings[i]
		}
	}
	for i, p := range packings {
		if strings.HasSuffix(strings.ToLower(path), p.ext) {
			return &packings[i]
		}
	}
	return nil
}

// trimPacking leaves out the end of a name that says how the file is packed.
func trimPacking(name string) string {
	for _, p := range packings {
		if len(name) > len(p.ext) && strings.EqualFold(name[len(name)-len(p.ext):], p.ext) {
			return name[:len(name)-len(p.ext)]
		}
	}
	return name
}

// zstdWindow bounds the memory of reading zstd: what `zstd --ultra --long` asks for at most.
const zstdWindow = 128 << 20

// openZstd reads what zstd has packed, on the caller's goroutine. The decoder takes a file that is cut in its first bytes for
// an empty one, so that these are looked at here.
func openZstd(packed io.Reader) (io.Reader, error) {
	in := bufio.NewReader(packed)
	start, err := in.Peek(4)
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if skippable := start[0]&0xF0 == 0x50 && string(start[1:]) == "\x2A\x4D\x18"; !skippable && string(start) != "\x28\xB5\x2F\xFD" {
		return nil, zstd.ErrMagicMismatch
	}
	return zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
}

// What is packed is unpacked up to so many bytes, or up to so many times its size if that is more. Text is packed to a
// quarter or a third, a text that says the same all over to a hundredth.
const (
	unpackedBytes = 64 << 20
	unpackedTimes = 200
)

// unpacked reads what gzip has packed into size bytes, and fails where it is more than any text would be.
func unpacked(packed io.Reader, size int) (io.Reader, error) {
	return packings[0].unpacked(packed, size)
}

// unpacked reads what is packed into size bytes, and fails where it is more than any text would be.
func (p packing) unpacked(packed io.Reader, size int) (io.Reader, error) {
	in, err := p.open(packed)
	if err != nil {
		return nil, err
	}
	return &limited{r: in, left: max(unpackedBytes, unpackedTimes*int64(size)), size: size}, nil
}

type limited struct {
	r    io.Reader
	left int64
	size int
}

func (b *limited) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("its %d bytes unpack to more than %d MiB and more than %d times their number, which is no text; unpack it yourself if it is one",
			b.size, unpackedBytes>>20, unpackedTimes)
	}
	return n, err
}

// trackedReader reports what is read and can be stopped.
type trackedReader struct {
	r       io.Reader
	at      io.ReaderAt
	read    func(n int) error
	stopped error
}

func (t *trackedReader) Read(p []byte) (int, error) {
	return t.track(func() (int, error) { return t.r.Read(p) })
}

// ReadAt reads from anywhere in the file, where there is one.
func (t *trackedReader) ReadAt(p []byte, off int64) (int, error) {
	return t.track(func() (int, error) { return t.at.ReadAt(p, off) })
}

func (t *trackedReader) track(read func() (int, error)) (int, error) {
	if t.stopped != nil {
		return 0, t.stopped
	}
	n, err := read()
	if t.stopped = t.read(n); t.stopped != nil {
		return 0, t.stopped
	}
	return n, err
}
