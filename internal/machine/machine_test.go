// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func fixture(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

func TestProcessors(t *testing.T) {
	for name, want := range map[string]struct{ model, features string }{
		"cpuinfo-zen3": {"AMD EPYC", "avx avx2 f16c fma sse4_2"},
		"cpuinfo-sapphire-rapids": {
			"Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
			"amx_bf16 amx_int8 amx_tile avx avx2 avx512_bf16 avx512_bitalg avx512_fp16 avx512_vbmi2 avx512_vnni avx512_vpopcntdq " +
				"avx512bw avx512cd avx512dq avx512f avx512ifma avx512vbmi avx512vl avx_vnni f16c fma sse4_2",
		},
		"cpuinfo-graviton3": {"", "asimd asimddp asimdfhm asimdhp bf16 fphp i8mm sve svebf16 svei8mm"},
	} {
		model, features := parseCPU(fixture(t, name))
		require.Equal(t, want.model, model, name)
		require.Equal(t, want.features, strings.Join(features, " "), name)
	}
}

func TestMemory(t *testing.T) {
	total, available := parseMemory(fixture(t, "meminfo"))
	require.Equal(t, uint64(24683656)<<10, total)
	require.Equal(t, uint64(23117740)<<10, available)
}

func TestNothingIsKnownElsewhere(t *testing.T) {
	for _, text := range []string{"", "MemTotal\nmodel name\nflags", "MemTotal: much kB\nmodel name:\nflags:"} {
		total, available := parseMemory(text)
		require.Zero(t, total)
		require.Zero(t, available)
		model, features := parseCPU(text)
		require.Empty(t, model)
		require.Empty(t, features)
	}
}

func TestThisMachine(t *testing.T) {
	total, available := Memory()
	_, features := CPU()
	if runtime.GOOS != "linux" {
		require.Zero(t, total+available)
		require.Empty(t, features)
		return
	}
	require.Greater(t, total, uint64(64<<20))
	require.LessOrEqual(t, available, total)
}
