// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Only masked positions count, and of the slots only those in use. In loops.
func TestRTDMaskedCountsSlots(t *testing.T) {
	m, b := small(t, "objective.name=rtd_masked"), smallBatch()
	loss, logits, replaced := rtdParts(t, m, b)
	sum := detection(logits[0][1], replaced[0][1]) + detection(logits[0][3], replaced[0][3]) + detection(logits[1][2], replaced[1][2])
	require.InDelta(t, sum/3, loss, 1e-12)
}
