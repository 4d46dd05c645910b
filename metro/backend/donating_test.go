// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/donation"
)

// What a graph writes anew is written over what was there, by the names of its parameters and the order of its results.
func TestDonating(t *testing.T) {
	program := func(name string) string {
		return "module @" + strings.ReplaceAll(name, "#", "_") + " {\n  func.func @main(%x: tensor<2x3xf32>, %_main_w: tensor<3xf32>, " +
			"%_main_m: tensor<3xf32> { sdy.sharding = #sdy.sharding<@mesh, [{}, {\"a\"}]> }, %_b_w: tensor<f32>) -> " +
			"(tensor<3xf32>, tensor<f32>, tensor<2x3xf32>) {\n    return\n  }\n}"
	}
	const written = "module @donating {\n  func.func @main(%x: tensor<2x3xf32>, %_main_w: tensor<3xf32> {tf.aliasing_output = 0 : i32}, "
	name := donation.Name()
	donation.Set(name, []string{"/main/w", "/b/w"})
	got := string(donating([]byte(program(name + "#0"))))
	require.True(t, strings.HasPrefix(got, written), got)
	require.Contains(t, got, `[{}, {"a"}]> }, %_b_w: tensor<f32> {tf.aliasing_output = 1 : i32}) -> (tensor<3xf32>, tensor<f32>, `)
	require.Equal(t, string(donating([]byte(program("donating_0#0")))), string(donating([]byte(program(donation.Name()+"#1")))), "names are gone")

	name = donation.Name()
	donation.Set(name, []string{"/w"})
	const whole = "tensor<3xf32> { sdy.sharding = #sdy.sharding<@mesh, [{}]> }"
	shared := "module @" + name + "_0 attributes {stablehlo.num_partitions = 2} {\n  sdy.mesh @mesh = <[\"rows\"=2]>\n" +
		"  func.func @main(%x: tensor<2xf32> { sdy.sharding = #sdy.sharding<@mesh, [{\"rows\"}]> }, %_w: " + whole + ") -> (" + whole + ", " + whole + ") {"
	require.Contains(t, string(donating([]byte(shared))), "%_w: tensor<3xf32> { sdy.sharding = #sdy.sharding<@mesh, [{}]>, tf.aliasing_output = 0 : i32 }) -> (", "of several devices")
	for what, variables := range map[string][]string{
		"another type":                 {"/b/w"},
		"no such parameter":            {"/main/v"},
		"more of them than of results": {"/main/w", "/b/w", "/a", "/c"},
	} {
		name := donation.Name()
		donation.Set(name, variables)
		require.NotContains(t, string(donating([]byte(program(name+"#0")))), "aliasing", what)
	}
	const other = "module @Store_Exec_0 {\n  func.func @main() -> tensor<f32> {\n  }\n}"
	require.Equal(t, other, string(donating([]byte(other))))
	require.Equal(t, "", string(donating(nil)))
}
