// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCanonical(t *testing.T) {
	type inner struct {
		B float64
		A uint64 `json:"a"`
	}
	cases := map[string]struct {
		value any
		want  string
	}{
		"keys sorted":          {map[string]any{"b": 1, "a": []int{2, 1}}, `{"a":[2,1],"b":1}`},
		"struct order is lost": {inner{B: 0.5, A: 1}, `{"B":0.5,"a":1}`},
		"seed beyond 2^53":     {inner{A: math.MaxUint64}, `{"B":0,"a":18446744073709551615}`},
		"no HTML escapes":      {"<&>", `"<&>"`},
		"float32":              {float32(0.1), `0.1`},
		"1.0":                  {json.RawMessage(`1.0`), `1`},
		"1e0":                  {json.RawMessage(`1e0`), `1`},
		"10e-1":                {json.RawMessage(`10e-1`), `1`},
		"minus zero":           {json.RawMessage(`[-0, -0.0, 0e5]`), `[0,0,0]`},
		"shortest":             {json.RawMessage(`0.10000000000000000555`), `0.1`},
		"small":                {json.RawMessage(`0.0000001`), `1e-7`},
		"large":                {json.RawMessage(`1000000000000000000000000.0`), `1e+24`},
		"spaces":               {json.RawMessage(" { \"a\" :\n null } "), `{"a":null}`},
		"empty":                {map[string]any{"a": map[string]any{}, "b": []any{}}, `{"a":{},"b":[]}`},
	}
	for name, c := range cases {
		got, err := Canonical(c.value)
		require.NoError(t, err, name)
		require.Equal(t, c.want, string(got), name)
		again, err := Canonical(json.RawMessage(got))
		require.NoError(t, err, name)
		require.Equal(t, got, again, "%s: canonical text is its own canonical text", name)
	}
	for name, bad := range map[string]any{"NaN": math.NaN(), "function": func() {}, "1e999": json.RawMessage(`1e999`)} {
		_, err := Canonical(bad)
		require.Error(t, err, name)
		_, err = Flatten(bad)
		require.Error(t, err, name)
	}
}

func TestFlatten(t *testing.T) {
	leaves, err := Flatten(json.RawMessage(`{"training": {"steps": 500.0, "clip": null}, "arms": [{"name": "a.b"}, true],
		"a.b": 1, "": 2, "x[0]": 3, "none": {}, "list": [], "q\"": 4}`))
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"training.steps": json.Number("500"), "training.clip": nil, "arms[0].name": "a.b", "arms[1]": true,
		`"a.b"`: json.Number("1"), `""`: json.Number("2"), `"x[0]"`: json.Number("3"),
		"none": map[string]any{}, "list": []any{}, `"q\""`: json.Number("4"),
	}, leaves)
	scalar, err := Flatten(1)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"": json.Number("1")}, scalar)
}

func TestDifferences(t *testing.T) {
	found, err := differences(
		json.RawMessage(`{"same": 1, "steps": 500, "rtd": {"weight": 50}, "gone": null, "list": [1, 2]}`),
		json.RawMessage(`{"same": 1.0, "steps": 1000, "rtd": {"weight": "50"}, "new": "x", "list": [1]}`))
	require.NoError(t, err)
	require.Equal(t, []Difference{
		{"gone", "null", ""}, {"list[1]", "2", ""}, {"new", "", `"x"`}, {"rtd.weight", "50", `"50"`}, {"steps", "500", "1000"},
	}, found)
	require.Equal(t, "gone: null and absent", found[0].String())
}

// Two documents are equal exactly if nothing differs between them.
func FuzzDifferences(f *testing.F) {
	f.Add(`{"a":1}`, `{"a":1.0}`)
	f.Add(`{"a.b":1}`, `{"a":{"b":1}}`)
	f.Add(`{"a[0]":{}}`, `{"a":[{}]}`)
	f.Add(`{"a":{}}`, `{"a":[]}`)
	f.Add(`{"":{"":1}}`, `{"\"\"":{"":1}}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		left, err := Canonical(json.RawMessage(a))
		if err != nil {
			return
		}
		right, err := Canonical(json.RawMessage(b))
		if err != nil {
			return
		}
		found, err := differences(json.RawMessage(a), json.RawMessage(b))
		if err != nil {
			t.Fatal(err)
		}
		if (len(found) == 0) != (string(left) == string(right)) {
			t.Fatalf("%s and %s: %v", left, right, found)
		}
	})
}
