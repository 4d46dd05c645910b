// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTickLabels(t *testing.T) {
	for name, c := range map[string]struct {
		low, high float64
		log       bool
		want      []string
	}{
		"AUC":             {0.5, 0.82, false, []string{"0.5", "0.6", "0.7", "0.8"}},
		"across zero":     {-0.34, 0.15, false, []string{"\u22120.3", "\u22120.2", "\u22120.1", "0", "0.1"}},
		"unit":            {0, 1, false, []string{"0", "0.2", "0.4", "0.6", "0.8", "1.0"}},
		"steps":           {0, 1800, false, []string{"0", "500", "1000", "1500"}},
		"tokens":          {0, 3.7e6, false, []string{"0", "1M", "2M", "3M"}},
		"thousands":       {0, 36000, false, []string{"0", "10k", "20k", "30k"}},
		"learning rates":  {1e-5, 4e-5, false, []string{"1e\u221205", "2e\u221205", "3e\u221205", "4e\u221205"}},
		"one value":       {7, 7, false, []string{"6.8", "7.0", "7.2"}},
		"decades":         {0.001, 100, true, []string{"0.001", "0.01", "0.1", "1", "10", "100"}},
		"within a decade": {1, 10, true, []string{"1", "2", "5", "10"}},
		"loss":            {2.2, 4.5, true, []string{"2.5", "3", "3.5", "4", "4.5"}},
		"compute":         {0, 5.4e18, false, []string{"0", "1E", "2E", "3E", "4E", "5E"}},
		"many decades":    {1, 1e12, true, []string{"1", "1k", "1M", "1G", "1T"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, tick := range newScale(c.low, c.high, c.log).ticks(5) {
				got = append(got, tick.Label)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestTimeLabels(t *testing.T) {
	for high, want := range map[float64][]string{
		0.4:       {"0", "0.1 s", "0.2 s", "0.3 s", "0.4 s"},
		45:        {"0", "10 s", "20 s", "30 s", "40 s"},
		100:       {"0", "30 s", "60 s", "90 s"},
		1800:      {"0", "5 min", "10 min", "15 min", "20 min", "25 min", "30 min"},
		5 * 3600:  {"0", "1 h", "2 h", "3 h", "4 h", "5 h"},
		86400:     {"0", "6 h", "12 h", "18 h", "24 h"},
		9 * 86400: {"0", "2 d", "4 d", "6 d", "8 d"},
	} {
		s := scale{min: 0, max: high, seconds: true}
		var got []string
		for _, tick := range s.ticks(5) {
			got = append(got, strings.ReplaceAll(tick.Label, "\u202f", " "))
		}
		require.Equal(t, want, got, "up to %g s", high)
	}
}

func TestTicksLieOnTheirScale(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		low := math.Exp(20 * (rng.Float64() - 0.5))
		high, log := low*math.Exp(15*rng.Float64()*rng.Float64()), rng.IntN(2) == 0
		if !log && rng.IntN(2) == 0 {
			low = -low
		}
		s := newScale(low, high, log).place(0, 100)
		s.seconds = !log && rng.IntN(3) == 0
		ticks, n := s.ticks(6), 0
		for i, tick := range ticks {
			require.True(t, tick.Value >= s.min-1e-9*math.Abs(s.min) && tick.Value <= s.max+1e-9*math.Abs(s.max), "%v in %v", tick, s)
			require.NotEmpty(t, tick.Label)
			if n++; i > 0 {
				require.Greater(t, tick.Value, ticks[i-1].Value)
				require.NotEqual(t, tick.Label, ticks[i-1].Label, "%v", s)
			}
		}
		require.True(t, n >= 2 && n <= 16, "%d ticks on %v", n, s)
	}
}
