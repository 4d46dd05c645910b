// SPDX-License-Identifier: Apache-2.0

package humanize

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		require.Equal(t, want, Count(n))
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		300 * time.Millisecond: "0 s", 89 * time.Second: "89 s", 90 * time.Second: "2 min", 12 * time.Minute: "12 min", 210 * time.Minute: "3.5 h",
	} {
		require.Equal(t, want, Duration(d))
	}
}
