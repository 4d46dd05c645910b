// SPDX-License-Identifier: Apache-2.0

package backend_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro/backend"
)

func TestDescribe(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		info := backend.Describe(be)
		require.Equal(t, be.NumDevices(), info.Devices)
		if info.Kind == backend.Go {
			require.Empty(t, info.Plugin)
			require.Contains(t, info.String(), "backend: pure Go")
			return
		}
		require.Equal(t, backend.XLACPU, info.Kind)
		require.Zero(t, info.Threads)
		require.Equal(t, "xla-cpu", info.Numerics())
		require.FileExists(t, info.Plugin)
		require.Regexp(t, `^PJRT API 0\.\d+, sha256 [0-9a-f]{12}$`, info.PluginVersion)
		require.Contains(t, info.String(), "backend: XLA CPU ("+info.Plugin)
	})
}

// Threads decide bits, and are part of what names the numbers.
func TestThreads(t *testing.T) {
	backendtest.XLA(t)
	for _, threads := range []int{1, 4} { // four are many models' own number, and not a small one's
		option := fmt.Sprintf(",threads=%d", threads)
		be, err := backend.Open("xla:cpu" + option)
		require.NoError(t, err)
		defer be.Finalize()
		info := backend.Describe(be)
		require.Equal(t, threads, info.Threads)
		require.Empty(t, os.Getenv("PJRT_NPROC"), "a process that is started from here was not asked for them")
		require.Equal(t, "xla-cpu"+option, info.Numerics())
		require.Contains(t, info.String(), option[1:])
		require.Nil(t, backend.Fit(be, backend.Needs{Small: true}), "somebody asked")
	}
	require.NotNil(t, backend.Fit(backendtest.XLA(t), backend.Needs{Small: true}))
	require.Nil(t, backend.Fit(backendtest.XLA(t), backend.Needs{TF32: true, Deterministic: true}), "only a GPU has others")
}

func TestAutoFallsBackToPureGo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(backend.EnvVar, "")
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", dir)
	broken := filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
	require.NoError(t, os.WriteFile(broken, []byte("\x7fELF, but no more"), 0o644))

	be, err := backend.Open("auto")
	require.NoError(t, err)
	require.Equal(t, backend.Go, backend.Describe(be).Kind)

	_, err = backend.Open("xla:cpu")
	require.Error(t, err)
	require.True(t, usererr.Is(err))
}

func TestEnvironmentReplacesAutoOnly(t *testing.T) {
	t.Setenv(backend.EnvVar, "nonsense")
	_, err := backend.Open("auto")
	require.ErrorContains(t, err, backend.EnvVar)
	require.ErrorContains(t, err, `unknown backend "nonsense"`)
	require.True(t, usererr.Is(err))

	_, err = backend.Open("go")
	require.NoError(t, err)
}

func TestUnknownOptionIsTheUsersMistake(t *testing.T) {
	_, err := backend.Open("go:nonsense")
	require.ErrorContains(t, err, "nonsense")
	require.True(t, usererr.Is(err))
}

// A processor is divided into as many devices as are asked for, whose number is part of what names the numbers; auto takes it too,
// and so does the backend of small models.
func TestDevices(t *testing.T) {
	backendtest.XLA(t)
	t.Setenv(backend.EnvVar, "xla:cpu")
	for _, spec := range []string{"auto,devices=3", "xla:cpu,threads=2,devices=3"} {
		be, err := backend.Open(spec)
		require.NoError(t, err)
		defer be.Finalize()
		info := backend.Describe(be)
		require.Equal(t, 3, info.Devices)
		require.Equal(t, 3, info.Divided)
		require.Contains(t, info.String(), "devices=3")
		small := backend.Fit(be, backend.Needs{Small: true})
		if spec != "auto,devices=3" {
			require.Equal(t, "xla-cpu,threads=2,devices=3", info.Numerics())
			require.Nil(t, small)
			continue
		}
		require.Equal(t, "xla-cpu,devices=3", info.Numerics())
		one, err := small()
		require.NoError(t, err)
		defer one.Finalize()
		require.Equal(t, 3, one.NumDevices())
	}
}

// A GPU that is not there is no fault of the program.
func TestCUDAWithoutAGPU(t *testing.T) {
	if matches, _ := filepath.Glob("/dev/nvidia[0-9]*"); len(matches) > 0 {
		t.Skip("there is a GPU here; this is about machines without one")
	}
	_, err := backend.Open("xla:cuda")
	require.True(t, usererr.Is(err), "%v", err)
}
