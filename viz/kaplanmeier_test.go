// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// By statsmodels 0.15.0: SurvfuncRight([3,5,5,5,8,8,9,12,12,12], [1,1,1,0,1,0,0,1,1,0]) has 1 - surv_prob at 3, 5, 8 and 12, and
// quantile(.5) = 12. A run that is given up at the time of an event was waiting for it.
func TestKaplanMeierEstimate(t *testing.T) {
	w := Waits{Name: "a", Until: []float64{12, 3, 5, 8, 5, 12, 8, 9, 5, 12},
		Censored: []bool{true, false, false, false, true, false, true, true, false, false}}
	curve := w.curve()
	require.Equal(t, []float64{0, 3, 5, 8, 12}, curve.X)
	require.InDeltaSlice(t, []float64{0, 0.1, 0.3, 0.41666666666666663, 0.8055555555555555}, curve.Y, 1e-12)
	require.Equal(t, "6 of 10, half by 12", KaplanMeier{}.note(w))

	none := Waits{Name: "b", Until: []float64{4, 4}, Censored: []bool{true, true}}
	require.Equal(t, Line{X: []float64{0, 4}, Y: []float64{0, 0}}, none.curve())
	require.Equal(t, "0 of 2", KaplanMeier{}.note(none))
	all := Waits{Name: "c", Until: []float64{90, 30, 60}, Censored: []bool{false, false, false}}
	require.InDeltaSlice(t, []float64{0, 1. / 3, 2. / 3, 1}, all.curve().Y, 1e-12, "without a run that is given up, the distribution")
	require.Equal(t, "3 of 3, half by 1\u202fmin", KaplanMeier{X: Seconds}.note(all))
}

func TestKaplanMeierRefusesWhatCannotBeDrawn(t *testing.T) {
	for want, series := range map[string][]Waits{
		`viz: Kaplan-Meier curves "k": nothing to draw: no series`:                                                                             nil,
		`viz: Kaplan-Meier curves "k": series "a" has 0 times and says of 0 whether the event came; it needs one or more, and as many of both`: {{Name: "a"}},
		`viz: Kaplan-Meier curves "k": series "a" has 2 times and says of 1 whether the event came; it needs one or more, and as many of both`: {{"a", []float64{1, 2}, []bool{true}}},
		`viz: Kaplan-Meier curves "k": series "a" has a time of 0; it must be above 0`:                                                         {{"a", []float64{0}, []bool{true}}},
		`viz: Kaplan-Meier curves "k": series "a" has a time of NaN; it must be above 0`:                                                       {{"a", []float64{math.NaN()}, []bool{true}}},
	} {
		_, err := KaplanMeier{Name: "k", Series: series}.Figure()
		require.EqualError(t, err, want)
	}
}
