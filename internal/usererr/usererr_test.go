// SPDX-License-Identifier: Apache-2.0

package usererr

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryCauseIsKept(t *testing.T) {
	_, absent := os.Open("no/such/file")
	for _, c := range []struct {
		name   string
		err    error
		text   string
		causes []error
	}{
		{"none", New("%s is %d", "it", 3), "it is 3", nil},
		{"percent sign", New("100%%"), "100%", nil},
		{"one", New("read: %w; mend it", io.EOF), "read: EOF; mend it", []error{io.EOF}},
		{"two", New("%w, then %w", io.EOF, fs.ErrExist), "EOF, then file already exists", []error{io.EOF, fs.ErrExist}},
		{"three", New("%w, %d, %w, %w", io.EOF, 7, fs.ErrExist, fs.ErrClosed), "EOF, 7, file already exists, file already closed", []error{io.EOF, fs.ErrExist, fs.ErrClosed}},
		{"joined", New("both: %w", errors.Join(io.EOF, absent)), "both: EOF\nopen no/such/file: no such file or directory", []error{io.EOF, fs.ErrNotExist}},
		{"its own", New("outer: %w", New("inner: %w and %w", io.EOF, absent)), "outer: inner: EOF and open no/such/file: no such file or directory", []error{io.EOF, fs.ErrNotExist}},
		{"wrapped", fmt.Errorf("a: %w", New("%w, %w", io.EOF, fs.ErrExist)), "a: EOF, file already exists", []error{io.EOF, fs.ErrExist}},
		{"among others", errors.Join(fs.ErrClosed, New("%w", io.EOF)), "file already closed\nEOF", []error{io.EOF, fs.ErrClosed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.EqualError(t, c.err, c.text)
			require.True(t, Is(c.err))
			for _, cause := range []error{io.EOF, fs.ErrExist, fs.ErrClosed, fs.ErrNotExist} {
				require.Equal(t, slices.Contains(c.causes, cause), errors.Is(c.err, cause), "%v", cause)
			}
			var path *fs.PathError
			require.Equal(t, errors.Is(c.err, fs.ErrNotExist), errors.As(c.err, &path))
		})
	}
}

func TestOtherErrorsAreNotTheUsers(t *testing.T) {
	for _, err := range []error{nil, io.EOF, fmt.Errorf("a: %w", io.EOF), errors.Join(io.EOF, fs.ErrExist)} {
		require.False(t, Is(err), "%v", err)
	}
}

func TestEachIsItself(t *testing.T) {
	a, b := New("same"), New("same")
	require.ErrorIs(t, a, a)
	require.NotErrorIs(t, a, b)
}
