// SPDX-License-Identifier: Apache-2.0

package notebooks

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNotebooks runs all notebooks in the real kernel; that wants Jupyter, some minutes, and at first a network.
func TestNotebooks(t *testing.T) {
	if os.Getenv("METROLAB_TEST_NOTEBOOKS") != "1" {
		t.Skip("set METROLAB_TEST_NOTEBOOKS=1 to run the notebooks headless, as ./scripts/notebooks does; scripts/test does too")
	}
	out, err := exec.CommandContext(t.Context(), "../scripts/notebooks").CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}
