// SPDX-License-Identifier: Apache-2.0

package weights_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/hf"
	"metrolab/metro/recipes"
	"metrolab/metro/weights"
)

// rows is V of the models here, of which the tokenizer is said to know fewer.
const rows = 300

func micro(t *testing.T, assignments ...string) metro.Config {
	t.Helper()
	c := recipes.Micro()
	for _, a := range assignments {
		require.NoError(t, c.Set(a))
	}
	return c
}

// saved writes what a checkpoint of c holds: weights, none of which is like another, and moments. change may do something to
// the list of tensors.
func saved(t *testing.T, c metro.Config, change func([]safetensors.Info) []safetensors.Info) (path string) {
	t.Helper()
	inv, complete := c.Inventory(rows)
	require.True(t, complete)
	var infos []safetensors.Info
	for _, w := range inv {
		for _, prefix := range []string{"", "adamw.m.", "adamw.v."} {
			infos = append(infos, safetensors.Info{Name: prefix + w.Tensor(), DType: "F32", Shape: w.Shape})
		}
	}
	if change != nil {
		infos = change(infos)
	}
	path = filepath.Join(t.TempDir(), "variables.safetensors")
	next := float32(0)
	require.NoError(t, safetensors.WriteFile(path, infos, nil, func(info safetensors.Info, w io.Writer) error {
		size, err := info.Size()
		if err != nil {
			return err
		}
		values := make([]float32, size/4)
		for i := range values {
			next++
			values[i] = next / 64
		}
		return binary.Write(w, binary.LittleEndian, values)
	}))
	return path
}

// open opens a checkpoint of c.
func open(t *testing.T, c metro.Config) weights.Source {
	t.Helper()
	src, err := weights.OpenCheckpoint(saved(t, c, nil), "runs/a", metro.Model{Config: c, Vocab: rows - 7})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	return src
}

func folder(t *testing.T, name string) weights.Source {
	t.Helper()
	f, err := hf.Load(filepath.Join("../hf/testdata", name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func read(t *testing.T, src weights.Source, name string) []float32 {
	t.Helper()
	values := make([]float32, weights.Tensor{Shape: weights.Shapes(src)[name]}.Size())
	require.NoError(t, src.Read(name, values))
	return values
}

// Wherever weights come from, they are those that their model's config describes.
func TestSources(t *testing.T) {
	run, pair := open(t, micro(t)), folder(t, "electra-odd")
	apart := run.Model().Config
	apart.Sharing, apart.Main.Layers = metro.SharingNone, 7
	alone, err := weights.As(run, apart, metro.Describe(apart, rows).Of(metro.OwnerGenerator))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		src weights.Source
		has map[metro.Owner]bool
	}{
		"a run":                      {run, map[metro.Owner]bool{metro.OwnerMain: true, metro.OwnerGenerator: true, metro.OwnerShared: true}},
		"a pair":                     {pair, map[metro.Owner]bool{metro.OwnerMain: true, metro.OwnerGenerator: true, metro.OwnerShared: true}},
		"a discriminator":            {folder(t, "electra-odd/discriminator"), map[metro.Owner]bool{metro.OwnerMain: true, metro.OwnerShared: true}},
		"a generator":                {folder(t, "electra-odd/generator"), map[metro.Owner]bool{metro.OwnerGenerator: true}},
		"an encoder":                 {folder(t, "bert"), map[metro.Owner]bool{metro.OwnerMain: true, metro.OwnerShared: true}},
		"the generator of a run":     {alone, map[metro.Owner]bool{metro.OwnerGenerator: true}},
		"a run under its own config": {as(t, run, run.Model().Config), map[metro.Owner]bool{metro.OwnerMain: true, metro.OwnerGenerator: true, metro.OwnerShared: true}},
	} {
		t.Run(name, func(t *testing.T) {
			src, m := test.src, test.src.Model()
			require.NotEmpty(t, src.String())
			described, has := map[string]metro.Weight{}, map[metro.Owner]bool{}
			for _, w := range metro.Describe(m.Config, m.Vocab) {
				described[w.Tensor()] = w
			}
			for _, tensor := range src.Tensors() {
				w, ok := described[tensor.Name]
				require.True(t, ok, tensor.Name)
				delete(described, tensor.Name) // each once
				require.Equal(t, w.Shape, tensor.Shape, tensor.Name)
				has[w.Owner] = true
				values := read(t, src, tensor.Name)
				for _, n := range []int{0, len(values) - 1, len(values) + 1} {
					if n != len(values) {
						require.ErrorContains(t, src.Read(tensor.Name, make([]float32, n)), fmt.Sprintf("%d elements, the buffer %d", len(values), n))
					}
				}
			}
			require.Equal(t, test.has, has)
			require.ErrorContains(t, src.Read("main.mine", nil), "main.mine")
			held := weights.Held(src, metro.Describe(m.Config, m.Vocab))
			require.Len(t, held, len(src.Tensors()))
			require.NoError(t, weights.Agree(src, m.Config, held))
		})
	}
}

// as gives all weights of src to a model of config c.
func as(t *testing.T, src weights.Source, c metro.Config) weights.Source {
	t.Helper()
	other, err := weights.As(src, c, metro.Describe(c, src.Model().Vocab))
	require.NoError(t, err)
	return other
}

// A run is named by names, types, shapes and bytes in the order of its file; moments do not count. Another order of the same
// weights is another hash, as is another value.
func TestHash(t *testing.T) {
	path := saved(t, micro(t), nil)
	src, err := weights.OpenCheckpoint(path, "runs/a", metro.Model{Config: micro(t)})
	require.NoError(t, err)
	defer src.Close()
	got, err := weights.Hash(src)
	require.NoError(t, err)
	file, err := safetensors.Open(path)
	require.NoError(t, err)
	defer file.Close()
	sum := sha256.New()
	for _, info := range file.Tensors() {
		if strings.HasPrefix(info.Name, "adamw.") {
			continue
		}
		size, err := info.Size()
		require.NoError(t, err)
		data := make([]byte, size)
		require.NoError(t, file.Read(info.Name, data))
		fmt.Fprintln(sum, info.Name, info.DType, info.Shape)
		sum.Write(data)
	}
	require.Equal(t, hex.EncodeToString(sum.Sum(nil)), got)

	renamed, err := weights.Hash(as(t, src, micro(t, "sharing=none")))
	require.NoError(t, err)
	require.NotEqual(t, got, renamed)
}

// What cannot be the weights of a run of the config is refused. The vocabulary is that of the table.
func TestOpenCheckpoint(t *testing.T) {
	require.Equal(t, rows, open(t, micro(t)).Model().Vocab)
	for want, change := range map[string]func([]safetensors.Info) []safetensors.Info{
		"tensor main.clm.output_bias is of type F64; those of a model are F32": func(infos []safetensors.Info) []safetensors.Info {
			i := slices.IndexFunc(infos, func(info safetensors.Info) bool { return info.Name == "main.clm.output_bias" })
			infos[i].DType = "F64"
			return infos
		},
		"tensor main.mine is no weight of a model of the run's config": func(infos []safetensors.Info) []safetensors.Info {
			return append(infos, safetensors.Info{Name: "main.mine", DType: "F32", Shape: []int{3}})
		},
	} {
		_, err := weights.OpenCheckpoint(saved(t, micro(t), change), "runs/a", metro.Model{Config: micro(t)})
		require.ErrorContains(t, err, want)
	}
}

// A model that shares less, and has fewer positions, has each weight where it looks for it.
func TestRestore(t *testing.T) {
	src := open(t, micro(t))
	c := micro(t, "sharing=none", "data.seq_len=12")
	inv, _ := c.Inventory(rows)
	store := model.NewStore()
	inv.Fill(store)
	require.NoError(t, weights.Restore(store, src, c, inv))
	value := func(path string) []float32 {
		return tensors.MustCopyFlatData[float32](store.GetVariable(path).MustValue())
	}
	for path, tensor := range map[string]string{
		"/shared/token_embedding": "shared.token_embedding", "/generator/token_embedding": "shared.token_embedding",
		"/main/layer_0/ffn_in/weights": "main.layer_0.ffn_in.weights", "/generator/head/output_bias": "generator.head.output_bias",
	} {
		require.Equal(t, read(t, src, tensor), value(path), path)
	}
	table := read(t, src, "shared.position_embedding")
	require.Equal(t, table[:12*c.Main.Width], value("/generator/position_embedding"))
}

// What does not fit is the user's error, and leaves all variables as they were.
func TestRestoreRefuses(t *testing.T) {
	c := micro(t, "objective.name=rtd_clm_scl")
	inv, _ := c.Inventory(rows)
	longer := slices.Clone(inv)
	for i, w := range longer {
		if w.Part == metro.PositionTable {
			longer[i].Shape = []int{w.Shape[0], w.Shape[1] + 1}
		}
	}
	more := micro(t, "main.layers=2")
	deeper, _ := more.Inventory(rows)
	for want, test := range map[string]struct {
		c      metro.Config
		wanted metro.Inventory
	}{
		"runs/a lacks 4 weights that the config asks for: main.scl.":                                      {c, inv},
		"tensor shared.position_embedding is [16 16], the model has [16 17]; change the config":           {c, longer},
		"runs/a holds another model than the config asks for: main.layers is 1 there and 2 in the config": {more, deeper},
	} {
		store := model.NewStore()
		test.wanted.Fill(store)
		before := store.GetVariable("/main/embedding_norm/gain").MustValue()
		err := weights.Restore(store, open(t, micro(t)), test.c, test.wanted)
		require.ErrorContains(t, err, want)
		require.True(t, usererr.Is(err))
		require.Same(t, before, store.GetVariable("/main/embedding_norm/gain").MustValue())
	}
}

// Only what a model takes is compared: a generator alone may go with any main model.
func TestAgreeComparesWhatIsTaken(t *testing.T) {
	src, c := folder(t, "electra-odd"), folder(t, "electra-odd").Model().Config
	c.Sharing, c.Main.Layers, c.Objective.RTDHead = metro.SharingNone, 5, metro.RTDHeadLinear
	inv := metro.Describe(c, src.Model().Vocab)
	require.NoError(t, weights.Agree(src, c, inv.Of(metro.OwnerGenerator)))
	err := weights.Agree(src, c, inv)
	require.ErrorContains(t, err, src.String()+" holds another model than the config asks for: main.layers is 2 there and 5 in the config; ")
	require.ErrorContains(t, err, "objective.rtd_head is projected there and linear in the config")

	c = src.Model().Config
	c.Generator.Layers = 3
	require.NoError(t, weights.Agree(src, c, metro.Describe(c, src.Model().Vocab).Of(metro.OwnerMain)))
}
