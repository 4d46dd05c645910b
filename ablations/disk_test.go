// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/viz"
)

// quick is a study of two runs.
func quick() Study {
	s := small()
	s.Changes, s.Seeds = s.Changes[:1], s.Seeds[:1]
	return s
}

func readTable(t *testing.T, dir string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, ResultsFile))
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	require.NoError(t, err)
	return rows
}

// One study through its life: planned, interrupted, finished by somebody else, damaged, made anew, read through links. Its
// folder tells at each time what lies on the disk.
func TestAStudyIsWhatLiesOnTheDisk(t *testing.T) {
	runner, s := lab(t), small()
	s.Changes = s.Changes[:1]
	dir := filepath.Join(runner.Store.Root, s.Name)
	ctx, stop := context.WithCancel(t.Context())
	stopped, err := s.Run(ctx, runner, 1, func(e Event) {
		plan, err := ReadPlan(dir) // before the first step is told of
		require.NoError(t, err)
		require.Equal(t, s.Seeds, plan.Planned.Seeds)
		require.NotEmpty(t, plan.Planned.Hash)
		if e.Done == 1 {
			stop()
		}
	})
	require.ErrorIs(t, err, training.ErrInterrupted)
	_, err = stopped.Write(dir)
	require.NoError(t, err)
	for _, row := range readTable(t, dir)[1:] {
		require.NotEmpty(t, row[0], "arm")
		require.NotEmpty(t, row[1], "seed")
		require.NotEmpty(t, row[len(row)-1], "id")
	}
	require.Equal(t, "interim: 0 of 2 seeds", stopped.Compare()[0].Says())

	// Another process finishes it; the first one, which knows of nothing, writes last.
	finished, err := s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	require.Equal(t, 4, finished.Ended())
	finished.Extra.Add(viz.Figure{Name: "probe", Alt: "a probe", PNG: []byte{1}})
	_, err = finished.Write(dir)
	require.NoError(t, err)
	files, err := stopped.Write(dir)
	require.NoError(t, err)
	require.Empty(t, files.Missing)
	for _, row := range readTable(t, dir)[1:] {
		require.Contains(t, row, "finished")
	}
	loaded, err := Open(dir)
	require.NoError(t, err)
	require.Equal(t, 4, loaded.Ended())
	require.True(t, loaded.Extra.has("probe"))

	// The same folder by other names.
	t.Chdir(dir)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	for _, name := range []string{".", dir + "/", link, "../" + s.Name, "./../" + s.Name + "/."} {
		loaded, err := Open(name)
		require.NoError(t, err, name)
		require.Equal(t, 4, loaded.Ended(), name)
	}

	// Damage is named, and the rest is there.
	spoil := func(run Run, file, text string) string {
		path := filepath.Join(runner.Store.Root, run.ID, file)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	attempts, err := filepath.Glob(filepath.Join(runner.Store.Root, loaded.Runs[0].ID, "attempts", "*", runs.ProvenanceFile))
	require.NoError(t, err)
	require.NotEmpty(t, attempts)
	for _, attempt := range attempts {
		require.NoError(t, os.WriteFile(attempt, []byte("{"), 0o600))
	}
	spoil(loaded.Runs[1], runs.MetricsFile, "{\nno log\n")
	spoil(loaded.Runs[3], runs.ResultFile, `{"steps":`)
	loaded, err = Open(dir)
	require.NoError(t, err)
	require.Equal(t, 3, loaded.Ended())
	files, err = loaded.Write(dir)
	require.NoError(t, err)
	for _, what := range []string{"baseline, seed 3: ", runs.ProvenanceFile, runs.MetricsFile, runs.ResultFile} {
		require.Contains(t, strings.Join(files.Missing, "\n"), what)
	}
	page, err := os.ReadFile(files.Report)
	require.NoError(t, err)
	require.Contains(t, string(page), "Missing here, because it cannot be read")
	require.Contains(t, readTable(t, dir)[4], "damaged")

	// More seeds are exploratory, and the same arms on another text are another study.
	more := s
	more.Seeds = []int64{3, 4, 5}
	require.NoError(t, os.Remove(filepath.Join(runner.Store.Root, loaded.Runs[3].ID, runs.ResultFile)))
	require.NoError(t, os.RemoveAll(filepath.Join(runner.Store.Root, loaded.Runs[3].ID)))
	again, err := more.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	require.Equal(t, []int64{3, 4}, again.Planned.Seeds)
	require.Equal(t, exploratory, again.Compare()[0].Says())

	elsewhere := lab(t)
	elsewhere.Store = runner.Store
	elsewhere.Corpus.Hash = strings.Repeat("ab", 32)
	_, err = more.Run(t.Context(), elsewhere, 1, nil)
	require.True(t, usererr.Is(err), "%v", err)
	require.ErrorContains(t, err, "another text")
}

// A name that would lead out of the store, or into a hidden folder, is refused.
func TestAStudysNameIsThatOfAFolder(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../up", "a/b", `a\b`, ".hidden"} {
		s := quick()
		s.Name = name
		_, err := s.Arms()
		require.True(t, usererr.Is(err), "%q: %v", name, err)
	}
}

// A recipe's floor is printed with what it was measured by, or how to measure it.
func TestFloor(t *testing.T) {
	r := made(3)
	r.Study.Recipe = "mini"
	require.Contains(t, r.FloorNote(), "not measured for the recipe")
	for _, f := range Floors() {
		require.NotEmpty(t, f.Commit)
		require.NotEmpty(t, f.Machine)
		require.Greater(t, len(f.Seeds), 4)
		r.Study.Recipe, r.Study.Outcome = f.Recipe, OutcomeOf(f.Metric)
		require.NotContains(t, f.Backend, "/", "a path of the machine that measured it")
		if f.SD > 0 {
			require.Contains(t, r.FloorNote(), "are what a change of rounding alone gives (σ of the paired differences")
		} else {
			require.Contains(t, r.FloorNote(), "has moved no run (training.accumulate=2 against the recipe")
		}
	}
	f := Floor{SD: 0.04, Seeds: make([]int64, 5)}
	require.InDelta(t, 2.7764451*0.04/1.7320508, f.Of(3), 1e-6)
}
