// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// pretrainedRun trains a micro model for 20 steps, with checkpoints after steps 10 and 20, and returns its directory.
func pretrainedRun(t *testing.T) string {
	t.Helper()
	r := runner(t, backendtest.Go(t))
	r.Store = runs.Store{Root: t.TempDir()}
	c := recipes.Micro()
	c.Training.Steps, c.Training.EvalEvery, c.Training.CheckpointEvery = 20, 20, 10
	result, err := r.Run(context.Background(), "pretrained", c, nil)
	require.NoError(t, err)
	return result.Run.Dir
}

func values(t *testing.T, store *model.Store) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for v := range store.IterVariables() {
		value, err := v.Value()
		require.NoError(t, err)
		flat, err := tensors.CopyFlatData[float32](value)
		require.NoError(t, err)
		all[v.Path()] = flat
	}
	return all
}

func TestPretrainedRestore(t *testing.T) {
	dir := pretrainedRun(t)
	p, err := training.LoadPretrained(dir)
	require.NoError(t, err)
	require.Equal(t, 20, p.Step)
	require.Empty(t, p.Notes)
	require.Equal(t, p.Identity.Config, p.Model.Config)
	require.Equal(t, p.Tokenizer.VocabSize(), p.Model.Vocab)
	require.Equal(t, p.Tokenizer.Special().PAD, p.Model.PadID)

	store, err := training.InitialVariables(backendtest.Go(t), p.Model)
	require.NoError(t, err)
	before := values(t, store)
	require.NoError(t, p.Restore(store))
	after := values(t, store)

	file, err := safetensors.Open(filepath.Join(dir, "checkpoints", "step-00000020", "variables.safetensors"))
	require.NoError(t, err)
	defer file.Close()
	restored := 0
	for path, got := range after {
		encoder := strings.HasPrefix(path, "/shared/") || strings.HasPrefix(path, "/main/") &&
			!strings.HasPrefix(path, "/main/rtd/") && !strings.HasPrefix(path, "/main/clm/")
		if !encoder {
			require.Equal(t, before[path], got, "%s is none of the encoder's", path)
			continue
		}
		restored++
		trained := tensors.FromShape(store.GetVariable(path).Shape())
		name := strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", ".")
		require.NoError(t, trained.MutableBytes(func(b []byte) { err = file.Read(name, b) }))
		require.NoError(t, err)
		want, err := tensors.CopyFlatData[float32](trained)
		require.NoError(t, err)
		require.Equal(t, want, got, path)
		require.NotEqual(t, before[path], got, "%s did not move in 20 steps", path)
	}
	// Two tables, two LayerNorm pairs and the relative table's one, then a layer: 4 + 2 dense maps and 2 LayerNorms.
	require.Equal(t, 2+2+1+(4+2)*2+2*2, restored)
}

func TestPretrainedRefusesAnotherShape(t *testing.T) {
	p, err := training.LoadPretrained(pretrainedRun(t))
	require.NoError(t, err)
	for name, change := range map[string]func(){
		"main.layers is 1 there and 2 in the config":      func() { p.Model.Config.Main.Layers = 2 },
		"main.ffn is 32 there and 48 in the config":       func() { p.Model.Config.Main.FFN = 48 },
		"positions.relative is signed_log there and none": func() { p.Model.Config.Positions.Relative = "none" },
	} {
		good := p.Model.Config
		change()
		store, err := training.InitialVariables(backendtest.Go(t), p.Model)
		require.NoError(t, err)
		before := values(t, store)
		err = p.Restore(store)
		require.ErrorContains(t, err, name)
		require.True(t, usererr.Is(err))
		require.Equal(t, before, values(t, store), "nothing may have changed")
		p.Model.Config = good
	}
}

// What may be wrong with a run's directory: a sentence each, and the user's to mend.
func TestLoadPretrainedErrors(t *testing.T) {
	good := pretrainedRun(t)
	write := func(name, text string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
	}
	remove := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, name))) }
	}
	other, err := os.ReadFile(filepath.Join(good, "tokenizer.json"))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		harm func(t *testing.T, dir string)
		want string
	}{
		"absent":              {remove(""), "is not a run: there is no config.json"},
		"no config":           {remove("config.json"), "is not a run: there is no config.json"},
		"no JSON":             {write("config.json", "{"), "unexpected end"},
		"another config":      {write("config.json", `{"title": "x"}`), "is not the config of a training run: data.vocab_size must be positive, it is 0, and more"},
		"no checkpoints":      {remove("checkpoints"), "has no checkpoint yet: its last record is of step 20 of 20, the first checkpoint comes after step 10"},
		"no tokenizer":        {remove("tokenizer.json"), "tokenizer.json"},
		"another tokenizer":   {write("tokenizer.json", strings.Replace(string(other), `"lowercase": true`, `"lowercase": false`, 1)), "is not the tokenizer that the run was trained with"},
		"damaged checkpoints": {harmCheckpoints("step-00000010", "step-00000020"), "all 2 checkpoints"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			require.NoError(t, os.CopyFS(dir, os.DirFS(good)))
			test.harm(t, dir)
			_, err := training.LoadPretrained(dir)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, dir)
			require.NotContains(t, err.Error(), "\n")
			require.True(t, usererr.Is(err), "%v", err)
		})
	}
}

// harmCheckpoints changes a byte in the middle of the weights of the named checkpoints.
func harmCheckpoints(names ...string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		for _, name := range names {
			path := filepath.Join(dir, "checkpoints", name, "variables.safetensors")
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data[len(data)/2] ^= 1
			require.NoError(t, os.WriteFile(path, data, 0o600))
		}
	}
}

func TestLoadPretrainedPassesOverADamagedCheckpoint(t *testing.T) {
	dir := pretrainedRun(t)
	harmCheckpoints("step-00000020")(t, dir)
	p, err := training.LoadPretrained(dir)
	require.NoError(t, err)
	require.Equal(t, 10, p.Step)
	require.Len(t, p.Notes, 1)
	require.Contains(t, p.Notes[0], "step-00000020")
}
