// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

func TestSearchPath(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	t.Setenv("LD_LIBRARY_PATH", "/opt/lib:relative::/usr/local/lib/go-xla")
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", "/a::/b:/a")
	require.Equal(t, []string{"/a", "/b"}, searchPath())

	require.NoError(t, os.Unsetenv("PJRT_PLUGIN_LIBRARY_PATH"))
	require.Equal(t, []string{"/home/u/.local/lib/go-xla", "/home/u/.local/lib/go-xla/nvidia",
		"/usr/local/lib/go-xla", "/usr/local/lib/go-xla/nvidia", "/opt/lib"}, searchPath())
}

func TestFindPlugins(t *testing.T) {
	dir := t.TempDir()
	versioned := write(t, filepath.Join(dir, "pjrt_c_api_cpu_v0.1.0_plugin.so"), "")
	link := filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
	require.NoError(t, os.Symlink(filepath.Base(versioned), link))
	cuda := write(t, filepath.Join(dir, "nvidia", "pjrt-plugin-cuda.so"), "")
	write(t, filepath.Join(dir, "pjrt_c_api_tpu_plugin.so"), "")
	write(t, filepath.Join(dir, "libcpu.so"), "")
	dangling := filepath.Join(dir, "pjrt_plugin_cpu.so")
	require.NoError(t, os.Symlink("gone", dangling))

	found := findPlugins([]string{dir, filepath.Join(dir, "nvidia"), filepath.Join(dir, "missing")})
	paths := map[string]Kind{}
	for _, p := range found {
		paths[p.Path] = p.Kind
		require.NotEmpty(t, p.Problem, "empty files and dangling links are no plugins")
	}
	require.Equal(t, map[string]Kind{link: XLACPU, cuda: XLACUDA, dangling: XLACPU}, paths,
		"the link to the versioned file comes first and stands for both")
}

func TestInspectTellsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	program, err := os.Executable()
	require.NoError(t, err)
	whole, err := os.ReadFile(program)
	require.NoError(t, err)
	path := func(name, content string) string { return write(t, filepath.Join(dir, name), content) }

	require.Contains(t, inspect(filepath.Join(dir, "absent_cpu.so"), XLACPU), "cannot be read")
	require.Contains(t, inspect(dir, XLACPU), "not a regular file")
	require.Contains(t, inspect(path("empty_cpu.so", ""), XLACPU), "damaged or no shared library")
	require.Contains(t, inspect(path("text_cpu.so", "not a library"), XLACPU), "damaged or no shared library")
	require.Contains(t, inspect(path("nvidia/cpu.so", ""), XLACPU), "take it for the CUDA plugin")
	if runtime.GOOS == "linux" {
		require.Contains(t, inspect(path("half_cpu.so", string(whole[:len(whole)/2])), XLACPU), "damaged or no shared library")
		require.NotEmpty(t, inspect(path("program_cpu.so", string(whole)), XLACPU), "a program is no plugin")
	}
}

func TestLinksAreFollowedWhereTheNameStaysClear(t *testing.T) {
	dir := t.TempDir()
	jax := write(t, filepath.Join(dir, "xla_cuda_plugin.so"), "")
	store := write(t, filepath.Join(dir, "a1b2.so"), "")
	toJAX, toStore := filepath.Join(dir, "pjrt_c_api_cuda_plugin.so"), filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
	require.NoError(t, os.Symlink(jax, toJAX))
	require.NoError(t, os.Symlink(store, toStore))

	require.Equal(t, jax, realPath(toJAX, XLACUDA))
	require.Equal(t, toStore, realPath(toStore, XLACPU), "a1b2.so would not say that it is for the CPU")
}

func TestCUDAFlags(t *testing.T) {
	for _, c := range []struct{ flags, dir, want string }{
		{"", "", ""},
		{"", "/c", "--xla_gpu_cuda_data_dir=/c"},
		{"--x=1", "/c", "--x=1 --xla_gpu_cuda_data_dir=/c"},
		{"--xla_gpu_cuda_data_dir=/mine", "/c", "--xla_gpu_cuda_data_dir=/mine"},
	} {
		require.Equal(t, c.want, cudaFlags(c.flags, c.dir))
	}
}

func TestCUDADirKnowsBothLayouts(t *testing.T) {
	site, own := t.TempDir(), t.TempDir()
	for _, root := range []string{site, own} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "nvidia", "cu13"), 0o755))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(site, "jax_plugins", "xla_cuda13"), 0o755))
	require.Equal(t, filepath.Join(site, "nvidia", "cu13"), cudaDir(filepath.Join(site, "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so")))
	require.Equal(t, filepath.Join(own, "nvidia", "cu13"), cudaDir(filepath.Join(own, "nvidia", "pjrt_c_api_cuda_plugin.so")))
	require.Empty(t, cudaDir(filepath.Join(t.TempDir(), "a", "b", "cuda.so")))
}

func TestToolkitIsLookedForBeforeUse(t *testing.T) {
	t.Setenv("XLA_FLAGS", "")
	dir := t.TempDir()
	plugin := write(t, filepath.Join(dir, "nvidia", "pjrt_c_api_cuda_plugin.so"), "")
	toolkit := filepath.Join(dir, "nvidia", "cu13")
	_, err := findToolkit(plugin)
	if err == nil {
		t.Skip("/usr/local/cuda is here, so that no toolkit is missing; run it where it is not")
	}
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "compiles with bin/ptxas, which is neither in "+toolkit)
	require.ErrorContains(t, err, "run ./scripts/setup --cuda")

	write(t, filepath.Join(toolkit, "bin", "ptxas"), "assembler")
	write(t, filepath.Join(toolkit, "nvvm", "libdevice", "libdevice.10.bc"), "")
	_, err = findToolkit(plugin)
	require.ErrorContains(t, err, "libdevice.10.bc", "an empty file is none")
	write(t, filepath.Join(toolkit, "nvvm", "libdevice", "libdevice.10.bc"), "BC")
	found, err := findToolkit(plugin)
	require.NoError(t, err)
	require.Equal(t, toolkit, found)

	t.Setenv("XLA_FLAGS", "--xla_gpu_cuda_data_dir="+dir+" --xla_dump_to=x")
	_, err = findToolkit(plugin)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "XLA_FLAGS has --xla_gpu_cuda_data_dir="+dir+", which holds no bin/ptxas")
	t.Setenv("XLA_FLAGS", "--xla_gpu_cuda_data_dir="+toolkit)
	found, err = findToolkit("/nowhere/cuda.so")
	require.NoError(t, err)
	require.Equal(t, toolkit, found)
}
