// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"
)

// interruptible reads r until ctx ends, though nobody may write to r, a pipe or a terminal, any more.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	i := &interruptibleReader{ctx: ctx, reads: make(chan read)}
	go func() {
		for {
			buffer := make([]byte, 64<<10)
			n, err := r.Read(buffer)
			select {
			case i.reads <- read{buffer[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return i
}

type read struct {
	data []byte
	err  error
}

type interruptibleReader struct {
	ctx   context.Context
	reads chan read
	rest  read
}

func (i *interruptibleReader) Read(p []byte) (int, error) {
	if len(i.rest.data) == 0 && i.rest.err == nil {
		select {
		case i.rest = <-i.reads:
		case <-i.ctx.Done():
			return 0, i.ctx.Err()
		}
	}
	n := copy(p, i.rest.data)
	if i.rest.data = i.rest.data[n:]; len(i.rest.data) > 0 {
		return n, nil
	}
	return n, i.rest.err
}
