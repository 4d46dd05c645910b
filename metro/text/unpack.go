// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"io"

	"metrolab/internal/packed"
)

// What is packed is unpacked up to so many bytes, or up to so many times its size if that is more. Text is packed to a
// quarter or a third, a text that says the same all over to a hundredth.
const (
	unpackedBytes = 64 << 20
	unpackedTimes = 200
)

// unpacked reads what is packed into size bytes, and fails where it is more than any text would be.
func unpacked(f *packed.Format, in io.Reader, size int) (io.Reader, error) {
	text, err := f.Open(in)
	if err != nil {
		return nil, err
	}
	return &limited{r: text, left: max(unpackedBytes, unpackedTimes*int64(size)), size: size}, nil
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
