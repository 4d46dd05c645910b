// SPDX-License-Identifier: Apache-2.0

package text

import (
	"compress/gzip"
	"fmt"
	"io"
)

// What gzip has packed is unpacked up to so many bytes, or up to so many times its size if that is more. Text is packed to a
// quarter or a third, a text that says the same all over to a hundredth.
const (
	unpackedBytes = 64 << 20
	unpackedTimes = 200
)

// unpacked reads what gzip has packed into size bytes, and fails where it is more than any text would be.
func unpacked(packed io.Reader, size int) (io.Reader, error) {
	zip, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	return &limited{r: zip, left: max(unpackedBytes, unpackedTimes*int64(size)), size: size}, nil
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
	read    func(n int) error
	stopped error
}

func (t *trackedReader) Read(p []byte) (int, error) {
	if t.stopped != nil {
		return 0, t.stopped
	}
	n, err := t.r.Read(p)
	if t.stopped = t.read(n); t.stopped != nil {
		return 0, t.stopped
	}
	return n, err
}
