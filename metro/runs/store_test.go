// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

func TestID(t *testing.T) {
	type identity struct {
		Steps int     `json:"steps"`
		LR    float64 `json:"lr"`
	}
	// The digits are those of: printf '{"lr":0.001,"steps":500}' | sha256sum
	const hash = "d788a18aeb"
	for name, want := range map[string]string{
		"tiny": "tiny", "METRO tiny, seed 1": "metro-tiny-seed-1", "../../etc": "etc", "": "run", "λ": "run", "--a--": "a",
		strings.Repeat("long name ", 20): "long-name-long-name-long-name-long-name-long-nam",
	} {
		id, err := ID(name, identity{Steps: 500, LR: 1e-3})
		require.NoError(t, err)
		require.Equal(t, want+"-"+hash, id)
		_, err = Store{Root: t.TempDir()}.Create(id, 1)
		require.NoError(t, err, "every ID names a run")
	}
	same, err := ID("tiny", json.RawMessage(`{"steps": 5e2, "lr": 0.0010}`))
	require.NoError(t, err)
	require.Equal(t, "tiny-"+hash, same)
	_, err = ID("tiny", math.NaN())
	require.ErrorContains(t, err, `name run "tiny"`)
}

func TestCreateFindsItsRunAgain(t *testing.T) {
	store := Store{Root: filepath.Join(t.TempDir(), "deep", "runs")}
	identity := map[string]any{"steps": 500, "arms": []string{"a"}}
	run, err := store.Create("tiny-1", identity)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(store.Root, "tiny-1"), run.Dir)
	before, err := os.ReadFile(run.Path(ConfigFile))
	require.NoError(t, err)

	again, err := store.Create("tiny-1", json.RawMessage(`{"arms":["a"],"steps":500.0}`))
	require.NoError(t, err)
	require.Equal(t, run.Dir, again.Dir)
	after, err := os.ReadFile(run.Path(ConfigFile))
	require.NoError(t, err)
	require.Equal(t, before, after)
	opened, err := store.Open("tiny-1")
	require.NoError(t, err)
	require.Equal(t, run.Dir, opened.Dir)
}

func TestCreateInAnEmptyDirectory(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "out"), 0o700))
	_, err := Store{Root: root}.Create("out", 1)
	require.NoError(t, err)
}

func TestCreateRefuses(t *testing.T) {
	many := map[string]int{}
	for _, r := range "abcdefghijkl" {
		many[string(r)] = 1
	}
	cases := map[string]struct {
		prepare  func(t *testing.T, dir string)
		identity any
		want     []string
	}{
		"another run": {
			func(t *testing.T, dir string) {
				_, err := Store{Root: filepath.Dir(dir)}.Create("tiny", map[string]any{"training": map[string]int{"steps": 500}, "seed": 1})
				require.NoError(t, err)
			},
			map[string]any{"training": map[string]int{"steps": 1000}, "seed": 1, "rtd": 10},
			[]string{"holds another run", "2 fields differ", "rtd: absent and 10", "training.steps: 500 and 1000"},
		},
		"another run in all": {
			func(t *testing.T, dir string) {
				_, err := Store{Root: filepath.Dir(dir)}.Create("tiny", map[string]int{})
				require.NoError(t, err)
			},
			many, []string{"13 fields differ", "and 5 more"},
		},
		"something else": {
			func(t *testing.T, dir string) { write(t, filepath.Join(dir, "thesis.tex"), "text") },
			1, []string{"holds 1 files, such as thesis.tex, but no config.json", "choose an empty or a new directory"},
		},
		"a damaged config": {
			func(t *testing.T, dir string) { write(t, filepath.Join(dir, ConfigFile), `{"steps":`) },
			1, []string{"config.json is damaged", "restore it or move the directory away"},
		},
		"a file": {
			func(t *testing.T, dir string) { write(t, dir, "text") },
			1, []string{"is in the way"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "tiny")
			c.prepare(t, dir)
			before := snapshot(t, root)
			run, err := Store{Root: root}.Create("tiny", c.identity)
			require.Nil(t, run)
			require.True(t, usererr.Is(err), "%v", err)
			for _, want := range append(c.want, dir) {
				require.ErrorContains(t, err, want)
			}
			require.Equal(t, before, snapshot(t, root), "nothing was touched")
		})
	}
}

func TestNamesStayInTheStore(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "outside", ConfigFile), "1")
	store := Store{Root: filepath.Join(root, "runs")}
	require.NoError(t, os.Mkdir(store.Root, 0o700))
	require.NoError(t, os.Symlink(filepath.Join(root, "outside"), filepath.Join(store.Root, "link")))
	for _, id := range []string{"", ".", "..", "../outside", "a/../../outside", "a/b", `a\b`, "/tmp", ".hidden", "link", "absent"} {
		_, err := store.Open(id)
		require.True(t, usererr.Is(err), "open %q: %v", id, err)
		err = store.Remove(id)
		require.True(t, usererr.Is(err), "remove %q: %v", id, err)
		_, err = store.Diff(id, id)
		require.True(t, usererr.Is(err), "diff %q: %v", id, err)
		if id != "absent" {
			_, err = store.Create(id, 1)
			require.True(t, usererr.Is(err), "create %q: %v", id, err)
		}
	}
	require.FileExists(t, filepath.Join(root, "outside", ConfigFile))
}

// Many processes that make the same run at once all get it, and it is whole.
func TestCreateAtOnce(t *testing.T) {
	store := Store{Root: t.TempDir()}
	var all sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		all.Go(func() { _, errs[i] = store.Create("tiny", map[string]int{"steps": 500}) })
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	requireNoStrays(t, atomicfile.OS, store.Root)
}

func TestRemove(t *testing.T) {
	store := Store{Root: t.TempDir()}
	run, err := store.Create("tiny", 1)
	require.NoError(t, err)
	other, err := store.Create("other", 1)
	require.NoError(t, err)
	lease, err := run.Acquire()
	require.NoError(t, err)

	err = store.Remove("tiny")
	require.ErrorIs(t, err, ErrHeld)
	require.True(t, usererr.Is(err))
	require.FileExists(t, run.Path(ConfigFile))

	require.NoError(t, lease.Release())
	require.NoError(t, store.Remove("tiny"))
	require.NoDirExists(t, run.Dir)
	require.FileExists(t, other.Path(ConfigFile))
	requireNoStrays(t, atomicfile.OS, store.Root)
}

// Who still holds a removed run learns it at the next write.
func TestRemovedUnderItsHolder(t *testing.T) {
	root := t.TempDir()
	here := Store{Root: root, Now: clock(noon), self: elsewhere("here")}
	there := Store{Root: root, Now: clock(noon.Add(time.Hour)), self: elsewhere("there")}
	run, err := here.Create("tiny", 1)
	require.NoError(t, err)
	lease, err := run.Acquire()
	require.NoError(t, err)
	log, err := lease.Metrics()
	require.NoError(t, err)
	defer log.Close()
	require.NoError(t, there.Remove("tiny"))
	require.ErrorIs(t, log.Record(1, nil), ErrLost)
	require.ErrorIs(t, lease.Checkpoints(1).Save(1, saver(atomicfile.OS, 1)), ErrLost)
	require.ErrorIs(t, lease.Release(), ErrLost)
	require.NoDirExists(t, run.Dir)
}

func TestOldStraysGo(t *testing.T) {
	root := t.TempDir()
	old, young := filepath.Join(root, ".tmp-old-0123456789ab"), filepath.Join(root, ".tmp-young-0123456789ab")
	for dir, age := range map[string]time.Duration{old: 25 * time.Hour, young: time.Hour} {
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.Chtimes(dir, time.Time{}, time.Now().Add(-age)))
	}
	_, err := Store{Root: root}.Create("tiny", 1)
	require.NoError(t, err)
	require.NoDirExists(t, old)
	require.DirExists(t, young)
}

func TestList(t *testing.T) {
	store := Store{Root: filepath.Join(t.TempDir(), "runs")}
	empty, err := store.List()
	require.NoError(t, err)
	require.Empty(t, empty)

	interrupted, err := store.Create("tiny-0123456789", map[string]int{"seed": 1})
	require.NoError(t, err)
	lease, err := interrupted.Acquire()
	require.NoError(t, err)
	require.NoError(t, lease.Progress(40, 100))
	require.NoError(t, lease.Checkpoints(1).Save(40, saver(atomicfile.OS, 40)))
	require.NoError(t, lease.Release())

	finished, err := store.Create("done", map[string]int{"seed": 2})
	require.NoError(t, err)
	require.NoError(t, WriteJSON(finished.Path(ResultFile), 1))

	running, err := store.Create("at-work", map[string]int{"seed": 3})
	require.NoError(t, err)
	lease, err = running.Acquire()
	require.NoError(t, err)
	defer lease.Release()

	broken, err := store.Create("broken", 1)
	require.NoError(t, err)
	write(t, broken.Path(ResultFile), "{")
	write(t, filepath.Join(store.Root, "no-config", attemptsDir, "000001", leaseFile), `{"attempt":1,"released":true}`)
	write(t, filepath.Join(store.Root, "notes", "todo.txt"), "text")
	write(t, filepath.Join(store.Root, "file.txt"), "text")
	write(t, filepath.Join(store.Root, ".tmp-x", ConfigFile), "1")

	found, err := store.List()
	require.NoError(t, err)
	var ids, names []string
	states := map[string]State{}
	for _, s := range found {
		ids, names = append(ids, s.ID), append(names, s.Name)
		states[s.ID] = s.State
		require.NotZero(t, s.Size, s.ID)
		require.False(t, s.Modified.IsZero(), s.ID)
		require.Equal(t, s.State == Damaged, s.Problem != "", s.ID)
	}
	require.Equal(t, []string{"at-work", "broken", "done", "no-config", "tiny-0123456789"}, ids)
	require.Equal(t, []string{"at-work", "broken", "done", "no-config", "tiny"}, names)
	require.Equal(t, map[string]State{"at-work": Running, "broken": Damaged, "done": Finished, "no-config": Damaged, "tiny-0123456789": Interrupted}, states)
	require.Equal(t, []int{40, 100}, []int{found[4].Step, found[4].Total})
	require.Greater(t, found[4].Size, int64(2*len(state(40))))

	diff, err := store.Diff("tiny-0123456789", "done")
	require.NoError(t, err)
	require.Equal(t, []Difference{{"seed", "1", "2"}}, diff)
	require.NoError(t, store.Remove("no-config"))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// snapshot is the content of every file below a directory.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var text []byte
			text, err = os.ReadFile(path)
			files[path] = string(text)
		}
		return err
	}))
	return files
}

func TestRunPrintsAsItsDirectory(t *testing.T) {
	run := &Run{ID: "tiny-0123456789", Dir: "runs/tiny-0123456789"}
	require.Equal(t, "{runs/tiny-0123456789}", fmt.Sprint(struct{ Run *Run }{run}))
	require.Equal(t, "no run", fmt.Sprint((*Run)(nil)))
}
