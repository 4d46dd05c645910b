// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64 && cgo && !noxla

package backend

import (
	"bytes"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"
)

// warnings returns what is said while f runs.
func warnings(t *testing.T, f func()) string {
	t.Helper()
	var said bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	defer slog.SetDefault(before)
	f()
	return said.String()
}

// xlaCPU opens XLA's backend for the processor until the test ends. Without one the test is skipped, or fails if it must not be.
func xlaCPU(t *testing.T) compute.Backend {
	t.Helper()
	be, err := Open("xla:cpu")
	if err != nil {
		if os.Getenv("METROLAB_REQUIRE_XLA") == "1" {
			t.Fatal(err)
		}
		t.Skipf("no XLA here: %v", err)
	}
	t.Cleanup(be.Finalize)
	return be
}

// softmaxes computes something of which XLA reorders sums, by a graph that is compiled or loaded anew at every call, and returns
// its bits and what that took.
func softmaxes(t *testing.T) (bits []uint32, compiled, loaded int64) {
	t.Helper()
	be := xlaCPU(t)
	values := make([]float32, 64*100)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	compiledBefore, loadedBefore := Compilations()
	x := tensors.FromFlatDataAndDimensions(values, 64, 100)
	out := graph.MustExecOnce(be, func(x *graph.Node) *graph.Node {
		return graph.Dot(graph.Softmax(x), graph.Transpose(x, 0, 1)).Product()
	}, x)
	compiled, loaded = Compilations()
	for _, v := range tensors.MustCopyFlatData[float32](out) {
		bits = append(bits, math.Float32bits(v))
	}
	return bits, compiled - compiledBefore, loaded - loadedBefore
}

// only returns the path of the one file of dir.
func only(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	return filepath.Join(dir, entries[0].Name())
}

func TestExecutablesAreLoadedBitForBit(t *testing.T) {
	t.Cleanup(func() { CacheExecutables("") })
	CacheExecutables("")
	want, compiled, loaded := softmaxes(t)
	require.Equal(t, [2]int64{1, 0}, [2]int64{compiled, loaded}, "without a cache")

	dir := filepath.Join(t.TempDir(), "cache", "executables")
	CacheExecutables(dir)
	for i, counts := range [][2]int64{{1, 0}, {0, 1}, {0, 1}} {
		bits, compiled, loaded := softmaxes(t)
		require.Equal(t, counts, [2]int64{compiled, loaded}, "use %d of the cache", i+1)
		require.Equal(t, want, bits)
	}

	t.Setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true") // read by XLA when a process begins, and by the key always
	_, compiled, loaded = softmaxes(t)
	require.Equal(t, [2]int64{1, 0}, [2]int64{compiled, loaded}, "under other flags")
}

func TestDamagedExecutablesAreCompiledAgain(t *testing.T) {
	t.Cleanup(func() { CacheExecutables("") })
	dir := filepath.Join(t.TempDir(), "executables")
	CacheExecutables(dir)
	want, _, _ := softmaxes(t)
	path := only(t, dir)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, damaged := range map[string][]byte{"flipped": flipped, "cut": whole[:len(whole)-1], "empty": {}, "not a program": sealed([]byte("no program"))} {
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		said := warnings(t, func() {
			bits, compiled, loaded := softmaxes(t)
			require.Equal(t, [2]int64{1, 0}, [2]int64{compiled, loaded}, name)
			require.Equal(t, want, bits, name)
		})
		require.Contains(t, said, path+" is damaged and is compiled again", name)
		_, compiled, loaded := softmaxes(t)
		require.Equal(t, [2]int64{0, 1}, [2]int64{compiled, loaded}, "%s: it was replaced", name)
	}
}

func TestFolderOfExecutablesThatCannotBeUsed(t *testing.T) {
	t.Cleanup(func() { CacheExecutables("") })
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o700))
	require.NoError(t, os.Chmod(open, 0o777)) // whatever the umask
	for dir, why := range map[string]string{filepath.Join(file, "executables"): "not a directory", open: "others may write to"} {
		CacheExecutables(dir)
		said := warnings(t, func() {
			for range 2 {
				_, compiled, loaded := softmaxes(t)
				require.Equal(t, [2]int64{1, 0}, [2]int64{compiled, loaded})
			}
		})
		require.Equal(t, 1, bytes.Count([]byte(said), []byte("compiled programs are not kept")), said)
		require.Contains(t, said, why)
	}
}

func TestOldExecutablesMakeRoom(t *testing.T) {
	dir := t.TempDir()
	cache := &executables{dir: dir, most: 3 * (32 + 10)}
	for i, name := range []string{"a.xla", "b.xla", "c.xla"} {
		cache.keep(name, make([]byte, 10))
		at := time.Now().Add(time.Duration(i-10) * time.Minute)
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	require.NotNil(t, cache.load("a.xla"), "it is used again, and b is the oldest now")
	cache.keep("d.xla", make([]byte, 10))
	require.NoFileExists(t, filepath.Join(dir, "b.xla"))
	for _, name := range []string{"a.xla", "c.xla", "d.xla"} {
		require.Len(t, cache.load(name), 10)
	}
}
