// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/faultfs"
)

// saved returns the checkpoints of the given steps in a new directory.
func saved(t *testing.T, keep int, steps ...int) Checkpoints {
	t.Helper()
	c := Checkpoints{Dir: filepath.Join(t.TempDir(), "run", CheckpointsDir), Keep: keep}
	for _, step := range steps {
		require.NoError(t, c.Save(step, saver(atomicfile.OS, step)))
	}
	return c
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

func TestSaveKeepsTheNewest(t *testing.T) {
	c := saved(t, 2, 0, 500, 1000, 100_000_000)
	require.Equal(t, []string{"step-00001000", "step-100000000"}, names(t, c.Dir))
	last, found, err := c.Latest(nil)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, Checkpoint{Step: 100_000_000, Dir: filepath.Join(c.Dir, "step-100000000")}, last)
	require.NoError(t, loadState(atomicfile.OS, last))

	all := saved(t, 0, 1, 2, 3)
	require.Len(t, names(t, all.Dir), 3)
}

func TestNoCheckpoints(t *testing.T) {
	c := Checkpoints{Dir: filepath.Join(t.TempDir(), "absent")}
	_, found, err := c.Latest(nil)
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, os.Mkdir(c.Dir, 0o700))
	write(t, filepath.Join(c.Dir, "step-00000001"), "a file")
	write(t, filepath.Join(c.Dir, "step-1", manifestFile), "another's")
	write(t, filepath.Join(c.Dir, ".tmp-step-00000005-0123456789ab", manifestFile), "a stray")
	_, found, err = c.Latest(func(dir string, err error) { t.Error(dir, err) })
	require.NoError(t, err)
	require.False(t, found)
}

func TestSaveAgain(t *testing.T) {
	c := saved(t, 2, 1)
	require.NoError(t, c.Save(1, func(string) error { return errors.New("not to be called") }))

	write(t, filepath.Join(c.Dir, "step-00000001", "state.bin"), "damage")
	require.NoError(t, c.Save(1, saver(atomicfile.OS, 1)))
	write(t, filepath.Join(c.Dir, "step-00000001", "state.bin"), "more damage")
	require.NoError(t, c.Save(1, saver(atomicfile.OS, 1)))
	require.Equal(t, []string{"damaged-step-00000001-1", "damaged-step-00000001-2", "step-00000001"}, names(t, c.Dir))
	require.Equal(t, "damage", snapshot(t, c.Dir)[filepath.Join(c.Dir, "damaged-step-00000001-1", "state.bin")])
}

func TestSaveFails(t *testing.T) {
	cases := map[string]struct {
		write func(dir string) error
		want  string
	}{
		"the caller":   {func(string) error { return errors.New("no weights") }, "no weights"},
		"nothing":      {func(string) error { return nil }, "nothing was written"},
		"empty folder": {func(dir string) error { return os.Mkdir(filepath.Join(dir, "a"), 0o700) }, "nothing was written"},
		"a link":       {func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "a")) }, "cannot be part"},
		"a manifest":   {func(dir string) error { return os.WriteFile(filepath.Join(dir, manifestFile), nil, 0o600) }, "cannot be part"},
		"dir removed":  {func(dir string) error { return os.RemoveAll(dir) }, "no such file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			checkpoints := saved(t, 1, 1)
			err := checkpoints.Save(2, c.write)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, filepath.Join(checkpoints.Dir, "step-00000002"))
			require.Equal(t, []string{"step-00000001"}, names(t, checkpoints.Dir))
		})
	}
	c := saved(t, 1)
	require.ErrorContains(t, c.Save(-1, nil), "step -1 is below 0")
}

// Damage is told, passed over, and left as it is, also when the old checkpoints are removed.
func TestDamagedCheckpointIsPassedOver(t *testing.T) {
	damages := map[string]struct {
		damage func(t *testing.T, dir string)
		want   string
	}{
		"flipped byte":     {func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "optimizer", "moments.bin"), 100) }, "SHA-256"},
		"cut file":         {func(t *testing.T, dir string) { cut(t, filepath.Join(dir, "state.bin"), 1) }, "bytes where"},
		"missing file":     {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "state.bin")) }, "no such file"},
		"folder for file":  {func(t *testing.T, dir string) { swap(t, filepath.Join(dir, "state.bin")) }, "bytes where"},
		"torn manifest":    {func(t *testing.T, dir string) { cut(t, filepath.Join(dir, manifestFile), 40) }, "manifest.json, "},
		"empty manifest":   {func(t *testing.T, dir string) { write(t, filepath.Join(dir, manifestFile), "") }, "manifest.json, 0 bytes"},
		"missing manifest": {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, manifestFile)) }, "no such file"},
		"another step's": {func(t *testing.T, dir string) {
			text, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "step-00000001", manifestFile))
			require.NoError(t, err)
			write(t, filepath.Join(dir, manifestFile), string(text))
		}, "it is of step 1, not 2"},
		"of the future": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, manifestFile), `{"version":2,"step":2,"files":[]}`)
		}, "it has format 2, this program reads 1"},
	}
	for name, c := range damages {
		t.Run(name, func(t *testing.T) {
			checkpoints := saved(t, 2, 1, 2)
			second := filepath.Join(checkpoints.Dir, "step-00000002")
			c.damage(t, second)
			before := snapshot(t, checkpoints.Dir)
			var told []string
			last, found, err := checkpoints.Latest(func(damaged string, err error) {
				told = append(told, damaged)
				require.ErrorContains(t, err, c.want)
				require.ErrorContains(t, err, second)
			})
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, 1, last.Step)
			require.Equal(t, []string{second}, told)
			require.Equal(t, before, snapshot(t, checkpoints.Dir))

			c.damage(t, filepath.Join(checkpoints.Dir, "step-00000001"))
			if name == "another step's" {
				return // the first is its own
			}
			_, found, err = checkpoints.Latest(nil)
			require.ErrorContains(t, err, "all 2 checkpoints in "+checkpoints.Dir+" are damaged")
			require.False(t, found)
		})
	}
}

func TestDamagedCheckpointsAreNotRemoved(t *testing.T) {
	c := saved(t, 1, 1)
	cut(t, filepath.Join(c.Dir, "step-00000001", "state.bin"), 1)
	for step := 2; step <= 4; step++ {
		require.NoError(t, c.Save(step, saver(atomicfile.OS, step)))
	}
	require.Equal(t, []string{"step-00000001", "step-00000004"}, names(t, c.Dir))
}

func TestSaveRemovesStrays(t *testing.T) {
	c := saved(t, 2, 1)
	write(t, filepath.Join(c.Dir, ".tmp-step-00000002-0123456789ab", "state.bin"), "half")
	require.NoError(t, c.Save(3, saver(atomicfile.OS, 3)))
	require.Equal(t, []string{"step-00000001", "step-00000003"}, names(t, c.Dir))
}

// No single flipped bit of any file makes a checkpoint that is taken for good and is not.
func TestEveryFlippedBit(t *testing.T) {
	d := faultfs.New()
	c := Checkpoints{Dir: "/c", disk: d.Disk()}
	require.NoError(t, c.Save(3, func(dir string) error { return d.Disk().CreateFile(filepath.Join(dir, "w"), []byte("weights")) }))
	for _, name := range []string{"w", manifestFile} {
		data := d.Content("/c/step-00000003/" + name)
		require.NotEmpty(t, data)
		for at := range data {
			for bit := range 8 {
				data[at] ^= 1 << bit
				if last, found, _ := c.Latest(nil); found {
					// Go reads the names of fields in either case: the meaning is unchanged.
					require.Equal(t, manifestFile, name, "byte %d, bit %d", at, bit)
					require.Equal(t, 5, bit)
					require.Equal(t, 3, last.Step)
				}
				data[at] ^= 1 << bit
			}
		}
	}
	require.NoError(t, verify(d.Disk(), "/c/step-00000003", 3))
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"step":7,"files":[{"name":"a/b.bin","size":3,"sha256":"00"}]}`))
	f.Add([]byte(`{"version":1,"step":7,"files":[{"name":"../a","size":3,"sha256":"00"}]}`))
	f.Add([]byte(`{"version":1,"step":7,"files":[{"name":"/etc/passwd","size":-3}]} x`))
	f.Add([]byte(`{"version":1,"step":7,"files":[{"name":"a"},{"name":"a"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text, 7)
		if err != nil {
			return
		}
		if m.Step != 7 || m.Version != manifestVersion || len(m.Files) == 0 {
			t.Fatalf("accepted %+v", m)
		}
		for _, item := range m.Files {
			if path := filepath.Join("/run/step", filepath.FromSlash(item.Name)); path != "/run/step" && !strings.HasPrefix(path, "/run/step/") {
				t.Fatalf("%q leads to %s", item.Name, path)
			}
		}
	})
}

func BenchmarkSave(b *testing.B) {
	const size = 16 << 20
	data := make([]byte, size)
	c := Checkpoints{Dir: b.TempDir(), Keep: 1}
	b.SetBytes(size)
	step := 0
	for b.Loop() {
		step++
		require.NoError(b, c.Save(step, func(dir string) error { return os.WriteFile(filepath.Join(dir, "w"), data, 0o600) }))
	}
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	text[at] ^= 1
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

func cut(t *testing.T, path string, bytes int64) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, info.Size()-bytes))
}

func remove(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.Remove(path))
}

func swap(t *testing.T, path string) {
	t.Helper()
	remove(t, path)
	require.NoError(t, os.Mkdir(path, 0o700))
}
