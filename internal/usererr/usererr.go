// SPDX-License-Identifier: Apache-2.0

// Package usererr marks errors that the user can mend: a wrong flag, a missing file, a config that makes no sense.
// The command exits with code 2 for these.
package usererr

import "fmt"

// userError wraps what fmt.Errorf has made, which knows its causes, however many they are.
type userError struct{ error }

func (e userError) Unwrap() error { return e.error }

// New returns an error that is the user's to mend. The format is that of [fmt.Errorf], %w included: [errors.Is] and
// [errors.As] find the cause of each.
func New(format string, args ...any) error { return userError{fmt.Errorf(format, args...)} }

// Is reports whether err, or an error that it wraps, was made by [New].
func Is(err error) bool { return is[userError](err) }
