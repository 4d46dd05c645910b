// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoad(t *testing.T) {
	average, known := parseLoad("2.37 4.45 6.30 3/512 12345\n")
	require.True(t, known)
	require.Equal(t, 2.37, average)
	for _, text := range []string{"", "much"} {
		_, known := parseLoad(text)
		require.False(t, known)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		require.Zero(t, PeakMemory())
		return
	}
	const held = 64 << 20
	block := make([]byte, held)
	for i := range block {
		block[i] = 1
	}
	require.Greater(t, PeakMemory(), uint64(held))
	require.NotZero(t, block[held/2])

	before := ProcessorTime()
	for begun, n := time.Now(), 0; ProcessorTime() == before; n++ {
		require.Less(t, time.Since(begun), time.Minute, "the clock of the processor stands still")
	}
	require.Greater(t, ProcessorTime(), before)
}
