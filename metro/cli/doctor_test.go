// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/backend"
)

// A number that needs a word gets it: XLA's views of the same cores, and a machine that does not tell its memory.
func TestDoctorExplains(t *testing.T) {
	require.Equal(t, "1", devices(backend.Info{Kind: backend.Go, Devices: 1}))
	require.Equal(t, "2", devices(backend.Info{Kind: backend.XLACUDA, Devices: 2}))
	require.Contains(t, devices(backend.Info{Kind: backend.XLACPU, Devices: 4}), "4, which are views of the same cores")
	require.Equal(t, "8.00 GB, 4.00 GB free", memory(backend.Memory{Total: 8e9, Available: 4e9}))
	require.Contains(t, memory(backend.Memory{}), "unknown")
}
