// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlanOfARecipe(t *testing.T) {
	l := newLab(t)
	printed, said, code := l.inProcess(t.Context(), "plan", "--recipe", "metro-base", "--devices", "8", "--mfu", "0.5")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, printed, "2048 rows of 512 tokens a step, 256 of them at a time on each device; 125,000 steps")
	require.Regexp(t, `(?m)^all weights +139,\d{3},\d{3}$`, printed)
	require.Regexp(t, `(?m)^memory: optimizer +1\.12 GB$`, printed)
	require.Contains(t, printed, "this does not fit: a device has 84.9 GB; make training.accumulate or --devices larger")
	require.Contains(t, printed, "8 × h100")

	printed, said, code = l.inProcess(t.Context(), "plan", "--recipe", "metro-large++,metro-xxl-wide", "--devices", "1024", "--device", "b200",
		"--memory", "192GB", "--peak", "2.25e15", "--sharded", "weights", "--json")
	require.Equal(t, exitDone, code, said)
	var list []planned
	require.NoError(t, json.Unmarshal([]byte(printed), &list))
	require.Len(t, list, 2)
	require.Empty(t, list[0].Assumed)
	require.Equal(t, []string{"generator.size=shallow_quarter", "training.batch_size=2048", "training.steps=2000000"}, list[1].Assumed)
	require.True(t, *list[1].Fits)
	require.InDelta(t, 5.83e9, float64(list[1].Parameters.Encoder), 0.03e9)

	printed, said, code = l.inProcess(t.Context(), "plan", "--recipe", "metro-base,metro-xl", "--devices", "64")
	require.Equal(t, exitDone, code, said)
	require.Contains(t, printed, "metro-xl: nobody has said what shape it has")

	printed, said, code = l.inProcess(t.Context(), "plan", "--recipe", "micro", "--device", "cpu")
	require.Equal(t, exitDone, code, said)
	require.NotContains(t, printed, "does not fit", "nothing is known of the memory of a processor elsewhere")
}

func TestPlanOfWhatIsNotThere(t *testing.T) {
	l := newLab(t)
	for want, given := range map[string][]string{
		`there is no recipe "nano"`:            {"--recipe", "nano"},
		"main.layer":                           {"--set", "main.layer=3"},
		`nothing is known of a device "b300"`:  {"--device", "b300"},
		`--memory is "much"`:                   {"--memory", "much"},
		`there is no sharding "all"`:           {"--sharded", "all"},
		"is not divided by 3 devices":          {"--devices", "3"},
		"the utilization must be above 0":      {"--mfu", "40"},
		"the peak of h100 must be above 0":     {"--peak", "-1"},
		"training.batch_size must be positive": {"--set", "training.batch_size=0"},
	} {
		_, said, code := l.inProcess(t.Context(), append([]string{"plan"}, given...)...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, want)
	}
}
