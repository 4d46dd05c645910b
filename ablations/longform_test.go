// SPDX-License-Identifier: Apache-2.0

package ablations_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/ablations"
	"metrolab/internal/usererr"
)

var longForm = ablations.LongForm{Arm: "arm", Seed: "seed", Value: "value", Baseline: "base"}

// The table of a study, from a file of another program.
func TestLongForm(t *testing.T) {
	baseline, arms, err := longForm.Read("t.csv", strings.NewReader("\ufeff"+`host,arm,seed,value
a,"no ""bias""",1,.513
a,base,1,0.805
b,base,2,.757
a,"no ""bias""",2,5.07e-1
b,base,3,.747
a,"no ""bias""",3,.521
a,new,3,NaN
a,new,2,
`))
	require.NoError(t, err)
	require.Equal(t, ablations.Outcomes{Name: "base", BySeed: map[int64]float64{1: .805, 2: .757, 3: .747}}, baseline)
	cs := ablations.Design{Better: ablations.HigherIsBetter}.Compare(baseline, arms)
	require.Equal(t, ablations.Worse, cs[0].Verdict)
	require.Contains(t, cs[1].Note, "failed at seed 3; the outcome was not measured at seed 2")
	text, err := ablations.ComparisonTable("value", baseline, cs).CSV()
	require.NoError(t, err)
	require.Contains(t, text, `"no ""bias""",0.513`)
}

func TestLongFormsThatAreWrong(t *testing.T) {
	for says, text := range map[string]string{
		"is empty": "",
		`t.csv:1: there is no column "value"; there are ["arm" "seed"]`: "arm,seed\n",
		`t.csv:1: there are two columns "seed"`:                         "arm,seed,value,seed\n",
		`t.csv:3: the seed is "x"`:                                      "arm,seed,value\nbase,1,2\nbase,x,2\n",
		`t.csv:4: value is "high"`:                                      "arm,seed,value\nbase,1,2\n\nbase,2,high\n",
		`t.csv:2: the run at seed 1 has no arm`:                         "arm,seed,value\n,1,2\n",
		`t.csv:3: "base" at seed 1 stands in line 2 already`:            "arm,seed,value\nbase,1,2\nbase,1,2\n",
		"record on line 3: wrong number of fields":                      "arm,seed,value\nbase,1,2\nbase,1\n",
		`no arm "base" to compare with; it has "a", "b"`:                "arm,seed,value\na,1,2\nb,1,2\n",
		`no arm "base" to compare with; it has no runs`:                 "arm,seed,value\n",
		`no arm but "base"`:                                             "arm,seed,value\nbase,1,2\n",
	} {
		_, _, err := longForm.Read("t.csv", strings.NewReader(text))
		require.ErrorContains(t, err, says)
		require.True(t, usererr.Is(err))
	}
}

// Whatever is in a table, it is read or refused as the user's error, and what is read can be compared and shown.
func FuzzLongForm(f *testing.F) {
	for _, text := range []string{
		"arm,seed,value\nbase,1,2\na,1,3\nbase,2,2.5\na,2,3\n", "arm,seed,value\nbase,1,NaN\na,1,Inf\n", "\ufeffarm,seed,value\r\nbase,1,\r\na,1,1e308\r\n",
		"arm,seed,value\n\"a\n\",1,2\nbase,1,0x1p-2\n", "seed,value,arm\n9223372036854775807,1,base\n-1,1,a\n", "arm\n\"", "arm,seed,value\nbase,1,1e308\na,1,-1e308\nbase,2,0\na,2,1\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		baseline, arms, err := longForm.Read("t.csv", strings.NewReader(text))
		if err != nil {
			require.True(t, usererr.Is(err), "%v", err)
			return
		}
		require.NotEmpty(t, arms)
		if len(arms) > 8 || strings.Count(text, "\n") > 40 {
			return // no new kind of input, and long to compare
		}
		_, err = ablations.ComparisonTable("value", baseline, ablations.Design{Better: ablations.HigherIsBetter, Margin: 1}.Compare(baseline, arms)).CSV()
		require.NoError(t, err)
	})
}
