// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/runs"
	"metrolab/viz"
)

// put makes a finished run of that name with a few rows.
func put(t *testing.T, name string, seed int) *runs.Run {
	t.Helper()
	id, err := runs.ID(name, map[string]int{"seed": seed})
	require.NoError(t, err)
	run, err := runs.Store{Root: Root()}.Create(id, map[string]int{"seed": seed})
	require.NoError(t, err)
	lease, err := run.Acquire()
	require.NoError(t, err)
	log, err := lease.Metrics()
	require.NoError(t, err)
	for step := 1; step <= 3; step++ {
		require.NoError(t, log.Record(step, runs.Values{"loss": float64(10*seed + step), "val_loss": math.NaN()}))
	}
	require.NoError(t, log.Close())
	require.NoError(t, lease.WriteJSON(runs.ResultFile, map[string]any{"metrics": runs.Values{"val_loss": 1}, "seconds": 2}))
	require.NoError(t, lease.Release())
	return run
}

// failure runs f and returns what a cell would end with.
func failure(t *testing.T, f func()) (line string) {
	t.Helper()
	old, stderr := end, os.Stderr
	read, write, err := os.Pipe()
	require.NoError(t, err)
	os.Stderr = write
	defer func() {
		require.Equal(t, "end", recover())
		end, os.Stderr = old, stderr
		require.NoError(t, write.Close())
		text := make([]byte, 4096)
		n, _ := read.Read(text)
		line = string(text[:n])
	}()
	end = func(code int) {
		require.Equal(t, 1, code)
		panic("end")
	}
	f()
	return ""
}

func TestOpenAndDraw(t *testing.T) {
	t.Setenv("METROLAB_RUNS", t.TempDir())
	a, b, other := put(t, "arm", 0), put(t, "arm", 1), put(t, "other", 2)
	run := Open(a.ID)
	require.Equal(t, "arm", run.Name)
	require.Equal(t, 2.0, run.Seconds)
	require.Equal(t, 1.0, run.Metrics["val_loss"])
	require.Equal(t, other.ID, Open("oth").ID)
	var identity struct{ Seed int }
	Open(b.ID).Config(&identity)
	require.Equal(t, 1, identity.Seed)

	c := Curves("loss", Open(a.ID), Open(b.ID), Open("other"))
	require.Len(t, c.Series, 2, "two seeds are one series")
	require.Len(t, c.Series[0].Runs, 2)
	require.Equal(t, viz.Line{X: []float64{1, 2, 3}, Y: []float64{21, 22, 23}}, c.Series[1].Runs[0])
	require.Len(t, List().Rows, 3)
	require.Len(t, Frame(run, 3, "1s"), 2)
}

// A fork is drawn from the step at which it leaves its trunk, where that is drawn too.
func TestForkLeavesItsTrunk(t *testing.T) {
	t.Setenv("METROLAB_RUNS", t.TempDir())
	trunk := Load(put(t, "trunk", 0))
	document := map[string]any{"name": "fork", "config": map[string]any{"training": map[string]any{"fork": trunk.ID + "@2"}}}
	id, err := runs.ID("fork", document)
	require.NoError(t, err)
	run, err := runs.Store{Root: Root()}.Create(id, document)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(run.Path(runs.MetricsFile), []byte("{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"loss\":1}\n"), 0o600))
	fork := Load(run)
	require.Equal(t, viz.Line{X: []float64{2, 3}, Y: []float64{2, 1}}, Curves("loss", trunk, fork).Series[1].Runs[0])
	require.Len(t, Curves("loss", fork).Series[0].Runs[0].X, 3)
}

// Each mistake ends the cell with one line that says what to do.
func TestMistakesAreOneLine(t *testing.T) {
	t.Setenv("METROLAB_RUNS", t.TempDir())
	require.Contains(t, failure(t, func() { Open("first") }), "holds none yet; train one first")
	a, b := put(t, "arm", 0), put(t, "arm", 1)
	for want, f := range map[string]func(){
		"there is no run \"nothing\"":        func() { Open("nothing") },
		"could be any of":                    func() { Open("arm") },
		"has no metric \"auc\"; it has loss": func() { Open(a.ID).Line("auc") },
		"nobody is training run \"" + b.ID:   func() { Stop(b.ID) },
		"two lines in one":                   func() { Check(fmt.Errorf("two lines\n  in one\nStack trace:\n a\n b")) },
		"shapes do not fit":                  func() { defer Guard(); panic(fmt.Errorf("shapes do not fit\ngoroutine 1")) },
	} {
		line := failure(t, f)
		require.Contains(t, line, want)
		require.Regexp(t, "^✗ [^\n]+\n$", line)
	}
}

// Names that are equal once they are reduced to letters and digits are names of their own, and runs that differ in more than
// the seed are no seeds of one arm, whatever they are called.
func TestNamesDoNotMerge(t *testing.T) {
	t.Setenv("METROLAB_RUNS", t.TempDir())
	made := func(name string, rate float64, seed int) *Run {
		document := map[string]any{"name": name, "config": map[string]any{"seed": seed, "rate": rate}}
		id, err := runs.ID(name, document)
		require.NoError(t, err)
		run, err := runs.Store{Root: Root()}.Create(id, document)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(run.Path(runs.MetricsFile), []byte("{\"step\":1,\"loss\":2}\n"), 0o600))
		return Load(run)
	}
	names := func(of ...*Run) (names []string, lines []int) {
		for _, s := range Curves("loss", of...).Series {
			names, lines = append(names, s.Name), append(lines, len(s.Runs))
		}
		return names, lines
	}
	series, lines := names(made("学習率 大", 1, 0), made("学習率 大", 1, 1), made("学習率 小", 0.1, 0), made("+bias", 2, 0), made("-bias", 3, 0))
	require.Equal(t, []string{"学習率 大", "学習率 小", "+bias", "-bias"}, series)
	require.Equal(t, []int{2, 1, 1, 1}, lines)
	series, lines = names(made("one", 1, 0), made("one", 2, 0), made("one", 2, 1))
	require.Equal(t, []string{"one (rate=1)", "one (rate=2)"}, series)
	require.Equal(t, []int{1, 2}, lines)
}
