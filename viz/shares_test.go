// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSharesAreInOrderAndNamed(t *testing.T) {
	f, err := demoShares().Figure()
	require.NoError(t, err)
	require.Equal(t, "accuracy on the test texts by the share of the weights that learn: head 0.01 % 0.710 [0.700, 0.740]; lora 0.3 % 0.820 [0.800, 0.830]; full 100 % 0.810 [0.800, 0.840].", f.Alt)
}

func TestTheMarkIsAtTheMedian(t *testing.T) {
	f, err := demoShares().Figure()
	require.NoError(t, err)
	d := newSharesDrawing(demoShares())
	requireNear(t, seriesColor(0), pixelsOf(t, f)(d.at(1e-4, 0.71)))
}

func TestSharesRefuseWhatCannotBeDrawn(t *testing.T) {
	for want, shares := range map[string][]Share{
		"nothing to draw": nil,
		`"a" has the share 0; it must be above 0 and at most 1`:        {{"a", 0, []float64{1}}},
		`"a" has the share 2; it must be above 0 and at most 1`:        {{"a", 2, []float64{1}}},
		`"a" has the outcomes []; it takes one or more, all finite`:    {{"a", 1, nil}},
		`"a" has the outcomes [NaN]; it takes one or more, all finite`: {{"a", 1, []float64{math.NaN()}}},
	} {
		_, err := Shares{Name: "s", Shares: shares}.Figure()
		require.EqualError(t, err, `viz: shares "s": `+want)
	}
}

func ExampleShares() {
	f, err := Shares{Name: "shares", Title: "How much must learn?", Outcome: "accuracy", Shares: []Share{
		{"head", 0.001, []float64{0.7, 0.8}}, {"full", 1, []float64{0.8, 0.9}},
	}}.Figure()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Alt)
	// Output: accuracy by the share of the weights that learn: head 0.1 % 0.750 [0.700, 0.800]; full 100 % 0.850 [0.800, 0.900].
}
