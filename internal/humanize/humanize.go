// SPDX-License-Identifier: Apache-2.0

// Package humanize writes numbers and times as people do.
package humanize

import (
	"fmt"
	"time"
)

// Count writes n, which is not negative, with its thousands apart: 1,234,567.
func Count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Duration writes a time as people say it: 80 s, 12 min, 3.5 h.
func Duration(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 90*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
}
