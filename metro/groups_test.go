// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

func TestParseGroups(t *testing.T) {
	for text, want := range map[string][]metro.Group{
		"":              nil,
		" ; ;":          nil,
		"main/rtd:lr=2": {{"main/rtd", 2, -1}},
		"main/rtd: lr=2; generator: lr=0.5 decay=0":    {{"main/rtd", 2, -1}, {"generator", 0.5, 0}},
		" /main/clm/ :\tdecay=1e-2  ":                  {{"main/clm", 1, 0.01}},
		"shared: lr=0;shared/token_embedding: lr=1e-1": {{"shared", 0, -1}, {"shared/token_embedding", 0.1, -1}},
	} {
		got, err := metro.ParseGroups(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
}

func TestParseGroupsRefuses(t *testing.T) {
	for _, part := range []string{
		"main", "main:", "main: ", ": lr=1", "/: lr=1", "main lr=1", "main: lr", "main: lr=", "main: lr=fast", "main: rate=1",
		"main: lr=-1", "main: lr=NaN", "main: lr=1e7", "main: decay=Inf", "main: lr=1 decay", "main: lr =1", "main: lr=1, decay=0",
	} {
		groups, err := metro.ParseGroups("generator: lr=1; " + part + " ;")
		require.Nil(t, groups)
		require.True(t, usererr.Is(err), part)
		require.ErrorContains(t, err, fmt.Sprintf("optimizer.groups: cannot read %q; write", strings.TrimSpace(part)))
	}
}

// A prefix is made of whole parts of a path, and a variable's own path is one.
func TestGroupHas(t *testing.T) {
	g := metro.Group{Prefix: "main/layer_1"}
	for path, test := range map[string]struct {
		weight metro.Weight
		want   bool
	}{
		"/main/layer_1/ffn_in/weights":  {metro.Weight{Owner: "main", Place: metro.Place{Layer: 1, Part: "ffn_in", Kind: "weights"}}, true},
		"/main/layer_1":                 {metro.Weight{Owner: "main", Place: metro.Place{Layer: -1, Part: "layer_1"}}, true},
		"/main/layer_10/ffn_in/weights": {metro.Weight{Owner: "main", Place: metro.Place{Layer: 10, Part: "ffn_in", Kind: "weights"}}, false},
		"/main":                         {metro.Weight{Place: metro.Place{Layer: -1, Kind: "main"}}, false},
		"/main/layer_0/ffn_in":          {metro.Weight{Owner: "main", Place: metro.Place{Part: "ffn_in"}}, false},
		"/generator/main/layer_1/x":     {metro.Weight{Owner: "generator", Place: metro.Place{Head: "main", Layer: 1, Part: "x"}}, false},
		"/":                             {metro.Weight{Place: metro.Place{Layer: -1}}, false},
	} {
		require.Equal(t, path, test.weight.Path())
		require.Equal(t, test.want, g.Has(test.weight), path)
	}
}

// Whatever is written, ParseGroups refuses it as the user's mistake, or returns groups of usable numbers that come back
// from their own text.
func FuzzParseGroups(f *testing.F) {
	f.Add("main/rtd: lr=2; generator: lr=0.5 decay=0")
	f.Add("a:lr=0x1p-2;;b:decay=1e6")
	f.Add("a: lr=NaN")
	f.Add(":::=;")
	f.Add("ä/ß: decay=-0")
	f.Fuzz(func(t *testing.T, text string) {
		groups, err := metro.ParseGroups(text)
		if err != nil {
			require.True(t, usererr.Is(err))
			return
		}
		var again strings.Builder
		for _, g := range groups {
			require.NotEmpty(t, g.Prefix)
			require.True(t, g.LearningRate >= 0 && g.LearningRate <= 1e6)
			require.True(t, g.WeightDecay == -1 || g.WeightDecay >= 0 && g.WeightDecay <= 1e6)
			fmt.Fprintf(&again, "%s: lr=%g", g.Prefix, g.LearningRate)
			if g.WeightDecay >= 0 {
				fmt.Fprintf(&again, " decay=%g", g.WeightDecay)
			}
			again.WriteString(";")
		}
		back, err := metro.ParseGroups(again.String())
		require.NoError(t, err)
		require.Equal(t, groups, back)
	})
}
