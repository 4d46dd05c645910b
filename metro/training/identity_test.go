// SPDX-License-Identifier: Apache-2.0

package training

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
)

// Runs from before the schema was written down bear the names that they had, and their configs are read as whole ones.
func TestRunsOfTheFirstSchemaAreFound(t *testing.T) {
	paths, err := filepath.Glob("../../internal/formats/testdata/v1/runs/*/" + runs.ConfigFile)
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		var identity RunIdentity
		require.NoError(t, runs.ReadJSON(path, &identity))
		require.Zero(t, identity.Schema)
		require.NoError(t, identity.Config.Validate())
		id, err := identity.firstID("micro")
		require.NoError(t, err)
		require.Equal(t, filepath.Base(filepath.Dir(path)), id)

		identity.Config.Training.KeepCheckpoints++ // which was part of a name then, and is not now
		other, err := identity.firstID("micro")
		require.NoError(t, err)
		require.NotEqual(t, id, other)
		key := identity.Key()
		identity.Config.Training.KeepCheckpoints--
		require.Equal(t, identity.Key(), key)
	}
	var modern RunIdentity
	modern.Config = metro.Neutral()
	modern.Config.Task.Name = "families"
	id, err := modern.firstID("run")
	require.NoError(t, err)
	require.Empty(t, id, "there were no such runs")
}

// What decides a run's numbers is in its key, and nothing else: adding a field to the config, at its neutral value, leaves
// the name of every run as it is. These are the names of two runs, for good.
func TestKeysLast(t *testing.T) {
	identity := RunIdentity{
		Schema: metro.Schema, Config: metro.Neutral(), Corpus: "c", Tokenizer: "t", Backend: "go", DType: "float32", NumericsVersion: 1,
	}
	identity.Config.Objective.Name, identity.Config.Replacements.Source = "rtd", metro.SourceJoint
	id, err := runs.ID("run", identity.Key())
	require.NoError(t, err)
	require.Equal(t, "run-49dbac168c", id)
	identity.SIMD = true
	id, err = runs.ID("run", identity.Key())
	require.NoError(t, err)
	require.Equal(t, "run-840b3210c4", id)
}

// A config.json that was changed after the run was made is found out, by the folder's name and by the hash in the file; what
// decides no number may be changed, and the folder may have any other name.
func TestChangedConfigsAreRefused(t *testing.T) {
	paths, err := filepath.Glob("../../internal/formats/testdata/v*/runs/*/" + runs.ConfigFile)
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		dir := filepath.Dir(path)
		identity, err := ReadIdentity(dir)
		require.NoError(t, err)
		sealed := identity
		sealed.KeyHash, err = runs.Hash(identity.Key())
		require.NoError(t, err)
		require.NoError(t, sealed.Verify(dir))
		require.NoError(t, sealed.Verify("best"))

		for name, change := range map[string]func(r *RunIdentity){
			"a setting":     func(r *RunIdentity) { r.Config.Optimizer.LearningRate *= 2 },
			"the seed":      func(r *RunIdentity) { r.Config.Seed++ },
			"the shape":     func(r *RunIdentity) { r.Config.Main.Heads *= 2 },
			"the tokenizer": func(r *RunIdentity) { r.Tokenizer = r.Corpus },
			"the numerics":  func(r *RunIdentity) { r.NumericsVersion++ },
		} {
			changed := identity
			change(&changed)
			err := changed.Verify(dir)
			require.True(t, usererr.Is(err), "%s of %s: %v", name, path, err)
			require.ErrorContains(t, err, path+" is not as it was written")
			changed.KeyHash = sealed.KeyHash
			require.ErrorContains(t, changed.Verify("best"), "is not as it was written", name)
		}
		sealed.Config.Training.CheckpointEvery++
		require.NoError(t, sealed.Verify("best"))
	}
}
