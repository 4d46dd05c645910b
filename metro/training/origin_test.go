// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// trained runs the micro recipe with assignments made, in pure Go, into a folder of its own.
func trained(t *testing.T, assignments ...string) training.Result {
	t.Helper()
	result, err := runner(t, backendtest.Go(t)).Run(t.Context(), "run", assigned(t, assignments...), nil)
	require.NoError(t, err)
	require.Empty(t, result.Diverged)
	return result
}

// refused is the error of such a run. It must be the user's, on one line.
func refused(t *testing.T, assignments ...string) string {
	t.Helper()
	_, err := runner(t, backendtest.Go(t)).Run(t.Context(), "run", assigned(t, assignments...), nil)
	require.Error(t, err)
	require.True(t, usererr.Is(err), "%v", err)
	require.NotContains(t, err.Error(), "\n")
	return err.Error()
}

// still are the assignments of a run that takes its weights from dir and leaves them as they are.
func still(dir string, assignments ...string) []string {
	return append([]string{"training.init_from=" + dir, "training.steps=1", "optimizer.warmup_steps=0", "optimizer.learning_rate=0"}, assignments...)
}

// checkpointed reads the newest checkpoint of a run: weights, and moments below "adamw.".
func checkpointed(t *testing.T, run *runs.Run) (weights, moments map[string][]float32) {
	t.Helper()
	c, found, err := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}.Latest(nil)
	require.NoError(t, err)
	require.True(t, found)
	file, err := safetensors.Open(filepath.Join(c.Dir, "variables.safetensors"))
	require.NoError(t, err)
	defer file.Close()
	weights, moments = map[string][]float32{}, map[string][]float32{}
	for _, info := range file.Tensors() {
		size, err := info.Size()
		require.NoError(t, err)
		data := make([]byte, size)
		require.NoError(t, file.Read(info.Name, data))
		values := make([]float32, size/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		if strings.HasPrefix(info.Name, "adamw.") {
			moments[info.Name] = values
		} else {
			weights[info.Name] = values
		}
	}
	return weights, moments
}

// fresh are the first values of a run's model, had it begun with none.
func fresh(t *testing.T, run *runs.Run) map[string][]float32 {
	t.Helper()
	p, err := training.LoadPretrained(run.Dir)
	require.NoError(t, err)
	store, err := training.InitialVariables(backendtest.Go(t), p.Model)
	require.NoError(t, err)
	named := map[string][]float32{}
	for path, v := range values(t, store) {
		named[strings.ReplaceAll(path[1:], "/", ".")] = v
	}
	return named
}

// A run that begins with another's weights measures at its step 0 what that one measured last, to the bit; its moments
// begin at 0. It runs one step at a rate of 0 to have something to measure and to write.
func TestInitFrom(t *testing.T) {
	source := trained(t)
	next := trained(t, still(source.Run.Dir, "seed=5")...)
	require.Equal(t, line(t, source.Metrics), line(t, next.Metrics))
	want, old := checkpointed(t, source.Run)
	weights, moments := checkpointed(t, next.Run)
	require.Equal(t, want, weights)
	require.NotEqual(t, fresh(t, next.Run), weights)
	require.Len(t, moments, 2*len(weights))
	o := assigned(t).Optimizer
	for name := range weights {
		m, v := moments["adamw.m."+name], moments["adamw.v."+name]
		require.NotEqual(t, old["adamw.v."+name], v)
		for i := range m {
			g := float64(m[i]) / (1 - o.Beta1) // of the one step that there was
			require.InEpsilon(t, 1+1e6*g*g*(1-o.Beta2), 1+1e6*float64(v[i]), 1e-4, name)
		}
	}
}

// Models that share less than the source's did, and no more, can have what it had; its predictions stay the same. Where
// they share more, one of them would lose its tables.
func TestInitFromOtherSharing(t *testing.T) {
	for from, to := range map[string]map[string]bool{
		metro.SharingNone:  {metro.SharingToken: false, metro.SharingGDES: false, metro.SharingAll: false},
		metro.SharingToken: {metro.SharingNone: true, metro.SharingTokenPosition: false, metro.SharingGDES: false},
		metro.SharingTokenPosition: {
			metro.SharingNone: true, metro.SharingToken: true, metro.SharingGDES: true, metro.SharingTokenPositionNorm: false,
		},
		metro.SharingTokenPositionNorm: {metro.SharingNone: true, metro.SharingTokenPosition: true, metro.SharingGDES: true, metro.SharingAll: false},
		metro.SharingGDES:              {metro.SharingGDES: true, metro.SharingTokenPosition: false, metro.SharingNone: false},
		metro.SharingAll:               {metro.SharingNone: true, metro.SharingTokenPositionNorm: true, metro.SharingGDES: true},
	} {
		source := trained(t, "sharing="+from)
		for to, possible := range to {
			if !possible {
				require.Contains(t, refused(t, still(source.Run.Dir, "sharing="+to)...), "sharing is "+from+" there and "+to+" in the config")
				continue
			}
			next := trained(t, still(source.Run.Dir, "sharing="+to)...)
			for name, want := range source.Metrics {
				require.InDelta(t, want, next.Metrics[name], 1e-6*max(1, math.Abs(want)), "%s from %s to %s", name, from, to)
			}
			if to != metro.SharingNone {
				continue
			}
			weights, _ := checkpointed(t, next.Run)
			for name, v := range weights {
				if rest, ok := strings.CutPrefix(name, "generator."); ok && strings.HasSuffix(rest, "_embedding") && from != metro.SharingToken {
					require.Equal(t, weights["shared."+rest], v, "%s from %s", name, from)
				}
			}
		}
	}
}

// A head that the source had not begins anew, and all else does not. What the new objective has no use for stays behind.
func TestInitFromAnotherObjective(t *testing.T) {
	source := trained(t)
	old, _ := checkpointed(t, source.Run)
	for objective, anew := range map[string][]string{"rtd_clm_scl": {"main.scl."}, "mlm": {"main.lm."}, "all_token_lm": {"main.lm."}, "rtd": nil} {
		next := trained(t, still(source.Run.Dir, "objective.name="+objective, "seed=3")...)
		weights, _ := checkpointed(t, next.Run)
		first, begun := fresh(t, next.Run), 0
		require.Len(t, weights, len(first))
		for name, v := range weights {
			want := old[name]
			for _, prefix := range anew {
				if strings.HasPrefix(name, prefix) {
					want = first[name]
					begun++
				}
			}
			require.NotNil(t, want, "%s of %s", name, objective)
			require.Equal(t, want, v, "%s of %s", name, objective)
		}
		require.Equal(t, len(anew) > 0, begun > 0)
	}
}

// Shorter rows read the beginning of the position table; there is nothing to read beyond its end.
func TestInitFromPositions(t *testing.T) {
	source := trained(t)
	c := assigned(t)
	next := trained(t, still(source.Run.Dir, "data.seq_len=12")...)
	old, _ := checkpointed(t, source.Run)
	weights, _ := checkpointed(t, next.Run)
	require.Equal(t, old["shared.position_embedding"][:12*c.Main.Width], weights["shared.position_embedding"])
	require.Contains(t, refused(t, still(source.Run.Dir, "data.seq_len=20")...), "positions.rows is 16 there and 20 in the config")
}

// Weights are not put into a model that would compute something else with them.
func TestInitFromAnotherModel(t *testing.T) {
	dir := trained(t).Run.Dir
	for assignment, want := range map[string]string{
		"main.layers=2":                 "main.layers is 1 there and 2 in the config",
		"generator.layers=2":            "generator.layers is 1 there and 2 in the config",
		"main.heads=2":                  "main.heads is 4 there and 2 in the config",
		"main.ffn=48":                   "main.ffn is 32 there and 48 in the config",
		"generator.width=8":             "generator.width is 16 there and 8 in the config",
		"main.activation=relu":          "main.activation is gelu_tanh there and relu in the config",
		"generator.norm=pre":            "generator.norm is post there and pre in the config",
		"main.epsilon=1e-12":            "main.epsilon is 1e-06 there and 1e-12 in the config",
		"embeddings.width=8":            "embeddings.width is 16 there and 8 in the config",
		"embeddings.token_types=2":      "embeddings.token_types is 0 there and 2 in the config",
		"positions.absolute=false":      "positions.absolute is true there and false in the config",
		"positions.relative=t5":         "positions.relative is signed_log there and t5 in the config",
		"positions.per_layer=true":      "positions.per_layer is false there and true in the config",
		"positions.scale=1.5":           "positions.scale is",
		"objective.rtd_head=linear":     "objective.rtd_head is projected there and linear in the config",
		"objective.generator_head=norm": "objective.generator_head is plain there and norm in the config",
	} {
		c := assigned(t, "training.init_from="+dir)
		if err := c.Set(assignment); err != nil || c == assigned(t, "training.init_from="+dir) {
			t.Fatalf("%s changes nothing: %v", assignment, err)
		}
		message := refused(t, "training.init_from="+dir, assignment)
		require.Contains(t, message, want)
		require.Contains(t, message, "training.init_from: "+dir)
	}
}

// A main model without its generator is no start for one that needs a generator, and the error says why and what else
// to do; what needs none may begin with it.
func TestInitFromWithoutGenerator(t *testing.T) {
	source := trained(t, "objective.name=mlm")
	message := refused(t, "training.init_from="+source.Run.Dir)
	for _, want := range []string{
		source.Run.Dir + " has no generator", "at a pretraining learning rate unlearns what it knew", "replacements.source=frozen", "objective.name=mlm",
	} {
		require.Contains(t, message, want)
	}
	next := trained(t, still(source.Run.Dir, "replacements.source=unigram", "objective.name=replace_mlm")...)
	old, _ := checkpointed(t, source.Run)
	weights, _ := checkpointed(t, next.Run)
	require.Equal(t, old, weights)

	// With another run's generator, frozen, all is there but the heads.
	pair := trained(t)
	next = trained(t, still(source.Run.Dir, "replacements.source=frozen", "sharing=none", "replacements.checkpoint="+pair.Run.Dir)...)
	other, _ := checkpointed(t, pair.Run)
	weights, _ = checkpointed(t, next.Run)
	require.Equal(t, old["shared.token_embedding"], weights["shared.token_embedding"])
	require.Equal(t, other["shared.token_embedding"], weights["generator.token_embedding"])
	require.Equal(t, other["generator.layer_0.ffn_in.weights"], weights["generator.layer_0.ffn_in.weights"])
	require.Contains(t, weights, "main.rtd.output.weights")
}

// A run's name tells apart what it began with by content: another model under the same path is another run, as is the
// same model under another path, since the path is part of the config.
func TestIdentityHoldsTheWeights(t *testing.T) {
	a, b := trained(t), trained(t, "seed=1")
	dir := filepath.Join(t.TempDir(), "source")
	open := func(source training.Result) (id string, identity training.RunIdentity) {
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.CopyFS(dir, os.DirFS(source.Run.Dir)))
		run, err := runner(t, backendtest.Go(t)).Open(t.Context(), "run", assigned(t, "training.init_from="+dir))
		require.NoError(t, err)
		require.NoError(t, runs.ReadJSON(run.Path(runs.ConfigFile), &identity))
		return run.ID, identity
	}
	id, identity := open(a)
	other, otherIdentity := open(b)
	again, _ := open(a)
	require.Equal(t, id, again)
	require.NotEqual(t, id, other)
	require.Equal(t, identity.Config, otherIdentity.Config)
	require.Len(t, identity.Weights["training.init_from"], 64)
	require.NotEqual(t, identity.Weights, otherIdentity.Weights)
	require.Empty(t, identity.Weights["replacements.checkpoint"])

	// Moments and results are not what a run begins with: a source without them is the same source.
	require.NoError(t, os.Remove(filepath.Join(dir, runs.ResultFile)))
	run, err := runner(t, backendtest.Go(t)).Open(t.Context(), "run", assigned(t, "training.init_from="+dir))
	require.NoError(t, err)
	require.Equal(t, id, run.ID)
}

func TestOriginErrors(t *testing.T) {
	source, small := trained(t), trained(t, "data.vocab_size=120")
	absent := filepath.Join(t.TempDir(), "absent")
	require.Contains(t, refused(t, "training.init_from="+absent), "training.init_from: "+absent+" is not a run")
	frozen := []string{"sharing=none", "replacements.source=frozen"}
	require.Contains(t, refused(t, append(frozen, "replacements.checkpoint="+absent)...), "replacements.checkpoint: "+absent+" is not a run")
	message := refused(t, append(frozen, "replacements.checkpoint="+source.Run.Dir, "training.init_from="+small.Run.Dir)...)
	require.Contains(t, message, "have different tokenizers")
	require.Contains(t, message, source.Run.Dir)
	require.Contains(t, message, small.Run.Dir)

	// The tokenizer comes with the weights, whatever the config asks for.
	next := trained(t, still(small.Run.Dir)...)
	var identity, want training.RunIdentity
	require.NoError(t, runs.ReadJSON(next.Run.Path(runs.ConfigFile), &identity))
	require.NoError(t, runs.ReadJSON(small.Run.Path(runs.ConfigFile), &want))
	require.Equal(t, want.Tokenizer, identity.Tokenizer)
	require.Equal(t, line(t, small.Metrics), line(t, next.Metrics))
}
