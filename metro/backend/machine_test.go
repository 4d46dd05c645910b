// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdviceNamesEachMissingThing(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("advice about XLA and SIMD is for Linux amd64; run it there")
	}
	for _, c := range []struct {
		name    string
		machine Machine
		want    []string // what each line contains
	}{
		{"complete", Machine{XLA: true, SIMD: true, Plugins: []Plugin{cpuPlugin}}, nil},
		{"bare", Machine{XLA: true, SIMD: true}, []string{"./scripts/setup installs XLA"}},
		{"no SIMD", Machine{XLA: true, Plugins: []Plugin{cpuPlugin}}, []string{"GOEXPERIMENT=simd"}},
		{"no XLA", Machine{SIMD: true, GPUs: gpu}, []string{"built without XLA"}},
		{"broken", Machine{XLA: true, SIMD: true, Plugins: []Plugin{brokenPlugin, cpuPlugin}}, []string{"is cut short; remove it"}},
		{"GPU", Machine{XLA: true, SIMD: true, GPUs: gpu, Plugins: []Plugin{cpuPlugin}}, []string{"./scripts/setup --cuda"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := c.machine.Advice()
			require.Len(t, lines, len(c.want), strings.Join(lines, "\n"))
			for i, want := range c.want {
				require.Contains(t, lines[i], want)
			}
		})
	}
}

func TestProbeSeesThisMachine(t *testing.T) {
	m := Probe()
	require.Equal(t, xlaBuilt, m.XLA)
	require.Positive(t, m.Cores)
	require.NotEmpty(t, m.SearchPath)
	if runtime.GOOS == "linux" {
		require.Greater(t, m.Memory.Total, uint64(64<<20))
		require.LessOrEqual(t, m.Memory.Available, m.Memory.Total)
	}
}

func TestMemoryIsTheContainersIfThatIsLess(t *testing.T) {
	const kb = 1 << 10
	for _, c := range []struct {
		name, limit, used string
		want              Memory
	}{
		{"no control group", "", "", Memory{8000 * kb, 6000 * kb}},
		{"no limit", "max\n", "1024\n", Memory{8000 * kb, 6000 * kb}},
		{"limit above the machine", "99999999999\n", "1024\n", Memory{8000 * kb, 6000 * kb}},
		{"limit", "4096000\n", "1024000\n", Memory{4000 * kb, 3000 * kb}},
		{"more used than allowed", "4096000\n", "9999999\n", Memory{4000 * kb, 0}},
	} {
		require.Equal(t, c.want, Memory{8000 * kb, 6000 * kb}.within(c.limit, c.used), c.name)
	}
	require.Zero(t, Memory{}.within("", ""))
}
