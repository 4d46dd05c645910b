// SPDX-License-Identifier: Apache-2.0

// Package usererr marks errors that the user can mend: a wrong flag, a missing file, a config that makes no sense.
// The command exits with code 2 for these and with 1 for everything else.
package usererr

import (
	"errors"
	"fmt"
)

type userError struct {
	msg   string
	cause error
}

func (e *userError) Error() string { return e.msg }
func (e *userError) Unwrap() error { return e.cause }

// New returns an error that is the user's to mend. The format is that of [fmt.Errorf], %w included.
func New(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &userError{msg: err.Error(), cause: errors.Unwrap(err)}
}

// Is reports whether err, or an error that it wraps, was made by [New].
func Is(err error) bool {
	var u *userError
	return errors.As(err, &u)
}
