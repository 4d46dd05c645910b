// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/recipes"
)

// leaves reads a config the way its users see it: its JSON, by path.
func leaves(t testing.TB, c metro.Config) map[string]any {
	t.Helper()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var tree map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&tree))
	flat := map[string]any{}
	var walk func(prefix string, node map[string]any)
	walk = func(prefix string, node map[string]any) {
		for name, value := range node {
			if inner, ok := value.(map[string]any); ok {
				walk(prefix+name+".", inner)
			} else {
				flat[prefix+name] = value
			}
		}
	}
	walk("", tree)
	return flat
}

// isWhole tells the two kinds of numbers apart, which JSON does not.
func isWhole(c metro.Config, path string) bool {
	return c.Set(path+"=0.5") != nil
}

// another returns a value of the right type that differs from the present one.
func another(t testing.TB, c metro.Config, path string) string {
	t.Helper()
	switch v := leaves(t, c)[path].(type) {
	case bool:
		return fmt.Sprint(!v)
	case string:
		return v + "x"
	case json.Number:
		x, err := v.Float64()
		require.NoError(t, err)
		if isWhole(c, path) {
			return fmt.Sprint(int(x) + 1)
		}
		return fmt.Sprint(x + 0.125)
	default:
		t.Fatalf("%s is a %T", path, v)
		return ""
	}
}

// The paths are those of the JSON, each can be set to a value of its type, nothing else changes with it, and the config
// comes back whole from its JSON.
func TestSetEveryPath(t *testing.T) {
	base := recipes.Tiny()
	paths := base.Paths()
	require.Equal(t, slices.Sorted(maps.Keys(leaves(t, base))), paths)
	for _, path := range paths {
		c, value := base, another(t, base, path)
		require.NoError(t, c.Set(path+"="+value))
		want := leaves(t, base)
		require.NotEqual(t, value, fmt.Sprint(want[path]))
		got := leaves(t, c)
		require.Equal(t, value, fmt.Sprint(got[path]))
		delete(want, path)
		delete(got, path)
		require.Equal(t, want, got, "%s changes nothing else", path)

		text, err := json.Marshal(c)
		require.NoError(t, err)
		var back metro.Config
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, c, back)

		spaced := base
		require.NoError(t, spaced.Set(" "+path+" = "+value+" "))
		require.Equal(t, c, spaced, "spaces around path and value do not matter")
	}
}

func TestSetNamesTheNearestField(t *testing.T) {
	for key, want := range map[string]string{
		"objective.rtd_wieght":    "objective.rtd_weight",
		"objective.rtdweight":     "objective.rtd_weight",
		"rtd_weight":              "objective.rtd_weight",
		"lr":                      "optimizer.learning_rate",
		"optimizer.lr":            "optimizer.learning_rate",
		"optimiser.learning_rate": "optimizer.learning_rate",
		"learning-rate":           "optimizer.learning_rate",
		"wd":                      "optimizer.weight_decay",
		"steps":                   "training.steps",
		"batch":                   "training.batch_size",
		"vocab":                   "data.vocab_size",
		"data.seqlen":             "data.seq_len",
		"main.Layers":             "main.layers",
		"mian.layers":             "main.layers",
		"main.n_layers":           "main.layers",
		"main.":                   "main.activation",
		"sede":                    "seed",
		"positions.relativ":       "positions.relative",
		"generater.dropout":       "generator.dropout",
	} {
		c := recipes.Tiny()
		err := c.Set(key + "=1")
		require.True(t, usererr.Is(err), "%v", err)
		require.EqualError(t, err, fmt.Sprintf("there is no config field %q; did you mean %q?", key, want))
		require.Equal(t, recipes.Tiny(), c)
	}
}

// Whatever cannot be is refused in a sentence that says what would be right, and nothing changes.
func TestSetRefuses(t *testing.T) {
	for assignment, want := range map[string]string{
		"":                             `"" is not an assignment; write path=value`,
		"seed":                         `"seed" is not an assignment`,
		"=1":                           `there is no config field ""`,
		"training.steps=":              `training.steps wants a whole number, not ""`,
		"training.steps=1e3":           `training.steps wants a whole number, not "1e3"`,
		"training.steps=12.5":          `training.steps wants a whole number, not "12.5"`,
		"training.steps=many":          `training.steps wants a whole number, not "many"`,
		"seed=9223372036854775808":     `seed wants a whole number, not "9223372036854775808"`,
		"data.lowercase=maybe":         `data.lowercase wants true or false, not "maybe"`,
		"optimizer.learning_rate=fast": `optimizer.learning_rate wants a finite number, not "fast"`,
		"optimizer.learning_rate=NaN":  `optimizer.learning_rate wants a finite number, not "NaN"`,
		"optimizer.clip_norm=Inf":      `optimizer.clip_norm wants a finite number, not "Inf"`,
		"optimizer.clip_norm=-inf":     `optimizer.clip_norm wants a finite number, not "-inf"`,
		"objective.rtd_weight=1e999":   `objective.rtd_weight wants a finite number, not "1e999"`,
	} {
		c := recipes.Tiny()
		err := c.Set(assignment)
		require.True(t, usererr.Is(err), "%q: %v", assignment, err)
		require.ErrorContains(t, err, want)
		require.Equal(t, recipes.Tiny(), c, assignment)
	}
}

// Whatever is written, Set either refuses it, and nothing has changed, or takes it, and the config has a JSON that
// brings it back.
func FuzzSet(f *testing.F) {
	f.Add("optimizer.learning_rate=2e-3")
	f.Add("seed=-1")
	f.Add("data.lowercase=T")
	f.Add("sharing=none=all")
	f.Add("main.dropout=0x1p-2")
	f.Add("main.activation=\xff")
	f.Add("objective.rtd_weight=NaN")
	f.Add("Ä.ö=ß")
	f.Add("._=")
	f.Fuzz(func(t *testing.T, assignment string) {
		c := recipes.Micro()
		if err := c.Set(assignment); err != nil {
			require.True(t, usererr.Is(err))
			require.Equal(t, recipes.Micro(), c)
			return
		}
		text, err := json.Marshal(c)
		require.NoError(t, err)
		var back metro.Config
		require.NoError(t, json.Unmarshal(text, &back))
		if path, value, _ := strings.Cut(assignment, "="); strings.ToValidUTF8(value, "") == value {
			require.Equal(t, c, back, path)
		}
		for path, v := range leaves(t, c) {
			if n, ok := v.(json.Number); ok {
				x, err := n.Float64()
				require.False(t, err != nil || math.IsNaN(x) || math.IsInf(x, 0), path)
			}
		}
	})
}
