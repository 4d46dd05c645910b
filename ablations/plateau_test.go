// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An arm that never left the plateau is not ranked in silence, however many pairs there are, and neither is a study of which
// no run has.
func TestWhoStaysOnThePlateauIsNotRankedInSilence(t *testing.T) {
	learned, stuck := []float64{.80, .81, .79, .82, .78, .80}, []float64{.51, .50, .52, .51, .50, .51}
	worse := withOutcomes(learned, stuck).Compare()[0]
	require.Equal(t, "worse, with caution", worse.Says())
	require.Contains(t, worse.Note, "caution: none of the 6 runs of this arm has left its plateau")
	better := withOutcomes(stuck, learned).Compare()[0]
	require.Equal(t, "better, with caution", better.Says())
	require.Contains(t, better.Note, "none of the baseline's 6 runs has left its plateau")
	nobody := withOutcomes(stuck, []float64{.53, .52, .54, .53, .52, .53}).Compare()[0]
	require.Equal(t, "better, with caution", nobody.Says())
	require.Contains(t, nobody.Note, "no run of the study has left its plateau")
	require.Empty(t, withOutcomes(learned, []float64{.51, .80, .82, .79, .80, .81}).Compare()[0].Caution, "of five pairs and more the t test takes two kinds")
}
