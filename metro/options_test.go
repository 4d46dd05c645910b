// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro"
)

// However a number is spelled, equal options are equal.
func TestOptionsOfOneMeaningAreEqual(t *testing.T) {
	read := func(text string) (o metro.Options) {
		require.NoError(t, json.Unmarshal([]byte(text), &o))
		return o
	}
	want := read(`{"x":2,"y":true}`)
	for _, text := range []string{`{"x":2.0,"y":true}`, `{"y":true,"x":2e0}`, ` {"x" : 20e-1, "y": true}`} {
		require.Equal(t, want, read(text), text)
		require.True(t, want == read(text))
	}
	require.NotEqual(t, want, read(`{"x":2.5,"y":true}`))
	require.Equal(t, `{"x":9007199254740993}`, read(`{"x":9007199254740993}`).String())
	var o metro.Options
	require.Error(t, json.Unmarshal([]byte(`{"x":1e999}`), &o))
}
