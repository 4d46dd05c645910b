// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// copyFixture copies a folder of testdata, so that a test can spoil it.
func copyFixture(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))))
	return dir
}

// setting changes one key of config.json; nil removes it.
func setting(t *testing.T, dir, key string, value any) {
	t.Helper()
	path := filepath.Join(dir, settingsFile)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, json.Unmarshal(data, &all))
	if all[key] = value; value == nil {
		delete(all, key)
	}
	data, err = json.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

// rewrite writes model.safetensors anew, each tensor as change leaves it; one without a name is dropped.
func rewrite(t *testing.T, dir string, change func(info *safetensors.Info, data *[]byte), more ...safetensors.Info) {
	t.Helper()
	path := filepath.Join(dir, weightsFile)
	file, err := safetensors.Open(path)
	require.NoError(t, err)
	var infos []safetensors.Info
	values := map[string][]byte{}
	for _, info := range append(file.Tensors(), more...) {
		size, err := info.Size()
		require.NoError(t, err)
		data := make([]byte, size)
		if _, ok := file.Lookup(info.Name); ok {
			require.NoError(t, file.Read(info.Name, data))
		}
		change(&info, &data)
		if info.Name != "" {
			infos, values[info.Name] = append(infos, info), data
		}
	}
	require.NoError(t, file.Close())
	require.NoError(t, safetensors.WriteFile(path, infos, nil, func(info safetensors.Info, w io.Writer) error {
		_, err := w.Write(values[info.Name])
		return err
	}))
}

func unchanged(*safetensors.Info, *[]byte) {}

// An encoder with BERT's names, with and without their prefix, computes what transformers' does.
func TestBERT(t *testing.T) {
	ref := openReference(t, "bert")
	plain := copyFixture(t, "bert")
	prefixed := copyFixture(t, "bert")
	rewrite(t, prefixed, func(info *safetensors.Info, _ *[]byte) {
		if !strings.HasPrefix(info.Name, "cls.") {
			info.Name = "bert." + info.Name
		}
	}, safetensors.Info{Name: "cls.predictions.bias", DType: "F32", Shape: []int{40}})
	f := load(t, prefixed)
	require.Contains(t, f.Notes[0], "3 tensors belong to no part that is read here, such as bert.pooler.dense.bias")
	same := load(t, plain)
	require.Contains(t, same.Notes[0], "2 tensors belong to no part that is read here, such as pooler.dense.bias, pooler.dense.weight")
	require.Equal(t, f.Config, same.Config)

	require.Equal(t, metro.Encoder{}, f.Config.Generator)
	require.Equal(t, 20, f.Config.EmbeddingWidth())
	require.Equal(t, f.Tensors(), same.Tensors())
	for _, tensor := range f.Tensors() {
		require.Equal(t, read(t, f, tensor), read(t, same, tensor))
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for i, state := range mainLayers(t, be, electraModel(f, f.Config), f, ref.ints("tokens"), ref.shape("tokens")) {
			require.LessOrEqual(t, largestDifference(t, flat(state), ref.floats(fmt.Sprintf("main_state_%d", i))), 1e-5, i)
		}
	})
}

// mainLayers runs the main model on rows of tokens.
func mainLayers(t *testing.T, be compute.Backend, m metro.Model, w weights.Source, tokens []int32, shape []int) []*tensors.Tensor {
	t.Helper()
	store := newStore(t, w, dtypes.Float32)
	exec, err := model.NewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		nonPad := NotEqual(in[0], Scalar(in[0].Graph(), dtypes.Int32, m.PadID))
		return m.MainLayers(scope, in[0], nonPad, nil, nil)
	})
	require.NoError(t, err)
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(tokens, shape...))
	require.NoError(t, err)
	require.Equal(t, len(w.Tensors()), store.NumVariables())
	return out
}

// A folder alone is a discriminator or a generator.
func TestSingleFolders(t *testing.T) {
	pair := load(t, "testdata/electra-odd")
	c, vocab := pair.Config, pair.Config.Data.VocabSize
	d := load(t, "testdata/electra-odd/discriminator")
	require.Equal(t, metro.Encoder{}, d.Config.Generator)
	require.NotEmpty(t, weights.Held(pair, metro.Describe(c, vocab)).HeadOf(metro.OwnerGenerator, metro.HeadGenerator))
	require.Empty(t, weights.Held(d, metro.Describe(c, vocab)).HeadOf(metro.OwnerGenerator, metro.HeadGenerator))

	g := load(t, "testdata/electra-odd/generator")
	require.Equal(t, metro.Encoder{}, g.Config.Main)
	for _, name := range sortedNames(g) {
		require.True(t, strings.HasPrefix(name, "generator."), name)
	}

	// A pair's generator alone, for a main model of another shape.
	c.Main.Layers, c.Sharing = 7, metro.SharingNone
	alone, err := weights.As(pair, c, metro.Describe(c, vocab).Of(metro.OwnerGenerator))
	require.NoError(t, err)
	require.Equal(t, sortedNames(g), sortedNames(alone))
	for _, tensor := range g.Tensors() {
		require.Equal(t, read(t, g, tensor), read(t, alone, tensor), tensor.Name)
	}
}

// The two models of a pair may share less than they could, and rows may be shorter.
func TestOtherConfigs(t *testing.T) {
	f := load(t, "testdata/electra-odd")
	require.Equal(t, 16, f.Config.Data.SeqLen)
	c := f.Config
	c.Sharing, c.Data.SeqLen = metro.SharingNone, 9
	src := as(t, f, c)
	position := weights.Tensor{Name: "generator.position_embedding", Shape: []int{9, 14}}
	require.Contains(t, src.Tensors(), position)
	all := read(t, f, weights.Tensor{Name: "shared.position_embedding", Shape: []int{16, 14}})
	require.Equal(t, all[:9*14], read(t, src, position))
	require.ErrorContains(t, src.Read("generator.position_embedding", make([]float32, 1)), "has 126 elements, the buffer 1")
	require.ErrorContains(t, src.Read("mine", nil), "has no tensor mine")
	require.ErrorContains(t, src.Read("shared.embedding_norm.gain", make([]float32, 14)), "has no tensor shared.embedding_norm.gain")
}

// A model takes the folder's shape and keeps what is its own.
func TestShape(t *testing.T) {
	f := load(t, "testdata/electra-odd")
	c := metro.Config{Seed: 3, Data: metro.Data{SeqLen: 9}, Main: metro.Encoder{Width: 99, Dropout: 0.3, Init: metro.InitFanIn}}
	shaped := f.Shape(c)
	require.Equal(t, metro.Data{VocabSize: 53, SeqLen: 9}, shaped.Data)
	require.Equal(t, 16, shaped.PositionRows())
	require.Equal(t, 24, shaped.Main.Width)
	require.Equal(t, []any{int64(3), 0.3, metro.InitFanIn}, []any{shaped.Seed, shaped.Main.Dropout, shaped.Main.Init})
	require.Contains(t, as(t, f, shaped).Tensors(), weights.Tensor{Name: "shared.position_embedding", Shape: []int{16, 14}})
	for _, length := range []int{0, 16, 400} {
		c.Data.SeqLen = length
		shaped = f.Shape(c)
		require.Equal(t, []int{16, 16, 0}, []int{shaped.Data.SeqLen, shaped.PositionRows(), shaped.Positions.Rows}, length)
	}
}

// Weights are not given to a model that would compute something else with them.
func TestOtherConfigsRefused(t *testing.T) {
	f := load(t, "testdata/electra-odd")
	for want, change := range map[string]func(c *metro.Config){
		"positions.rows is 16 there and 17 in the config":                          func(c *metro.Config) { c.Data.SeqLen = 17 },
		"main.layers is 2 there and 3 in the config":                               func(c *metro.Config) { c.Main.Layers = 3 },
		"generator.epsilon is 0.001 there and 1e-05":                               func(c *metro.Config) { c.Generator.Epsilon = 1e-5 },
		"main.norm is post there and pre":                                          func(c *metro.Config) { c.Main.Norm = metro.NormPre },
		"embeddings.width is 14 there and 24":                                      func(c *metro.Config) { c.Embeddings.Width = 0 },
		"embeddings.token_types is 2 there and 0":                                  func(c *metro.Config) { c.Embeddings.TokenTypes = 0 },
		"positions.relative is none there and t5":                                  func(c *metro.Config) { c.Positions.Relative = metro.RelativeT5 },
		"objective.rtd_head is projected there and linear":                         func(c *metro.Config) { c.Objective.RTDHead = metro.RTDHeadLinear },
		"objective.generator_head is norm there and plain":                         func(c *metro.Config) { c.Objective.GeneratorHead = metro.GeneratorHeadPlain },
		"sharing is token_position_norm there and all in the config":               func(c *metro.Config) { c.Sharing = metro.SharingAll },
		"main.width is 24 there and 12 in the config; main.heads is 3 there and 2": func(c *metro.Config) { c.Main.Width, c.Main.Heads = 12, 2 },
	} {
		c := f.Config
		change(&c)
		_, err := weights.As(f, c, metro.Describe(c, f.Config.Data.VocabSize))
		require.ErrorContains(t, err, "testdata/electra-odd holds another model than the config asks for: ")
		require.ErrorContains(t, err, want)
		require.True(t, usererr.Is(err))
	}
}

// Half precision is widened on the way.
func TestHalfPrecision(t *testing.T) {
	want := load(t, "testdata/bert")
	dir := copyFixture(t, "bert")
	rewrite(t, dir, func(info *safetensors.Info, data *[]byte) {
		info.DType = "BF16"
		var short []byte
		for i := 2; i < len(*data); i += 4 {
			short = append(short, (*data)[i], (*data)[i+1])
		}
		*data = short
	})
	got := load(t, dir)
	for _, tensor := range want.Tensors() {
		exact := read(t, want, tensor)
		for i, x := range read(t, got, tensor) {
			require.Equal(t, math.Float32bits(exact[i])>>16<<16, math.Float32bits(x), tensor.Name)
		}
	}
}

// withBERTHead writes BERT's masked language modelling head into a copy of the fixture, with the tensors that change leaves of it.
func withBERTHead(t *testing.T, change func(head map[string][]int, values map[string][]byte)) string {
	t.Helper()
	dir := copyFixture(t, "bert")
	const head = "cls.predictions."
	shapes := map[string][]int{
		head + "transform.dense.weight": {20, 20}, head + "transform.dense.bias": {20},
		head + "transform.LayerNorm.weight": {20}, head + "transform.LayerNorm.bias": {20}, head + "bias": {40},
	}
	values := map[string][]byte{}
	for name, shape := range shapes {
		values[name] = make([]byte, 4*elements(shape))
		for i := 0; i < len(values[name]); i += 4 {
			binary.LittleEndian.PutUint32(values[name][i:], math.Float32bits(float32(len(name)+i)))
		}
	}
	change(shapes, values)
	var infos []safetensors.Info
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		infos = append(infos, safetensors.Info{Name: name, DType: "F32", Shape: shapes[name]})
	}
	rewrite(t, dir, func(info *safetensors.Info, data *[]byte) {
		if head, ok := values[info.Name]; ok {
			*data = head
		}
	}, infos...)
	return dir
}

// Of a BERT, messages name tensors as its files do, whose bias of the output may have its second name alone.
func TestBERTIsSpokenOfByItsNames(t *testing.T) {
	const bias, again = "cls.predictions.bias", "cls.predictions.decoder.bias"
	want := load(t, withBERTHead(t, func(map[string][]int, map[string][]byte) {}))
	for name, change := range map[string]func(shapes map[string][]int, values map[string][]byte){
		"alone":  func(s map[string][]int, v map[string][]byte) { s[again], v[again] = s[bias], v[bias]; delete(s, bias) },
		"beside": func(s map[string][]int, v map[string][]byte) { s[again], v[again] = s[bias], v[bias] },
	} {
		got := load(t, withBERTHead(t, change))
		require.Equal(t, want.Tensors(), got.Tensors(), name)
		for _, tensor := range want.Tensors() {
			require.Equal(t, read(t, want, tensor), read(t, got, tensor), name)
		}
	}
	for want, change := range map[string]func(shapes map[string][]int, values map[string][]byte){
		"there is no tensor cls.predictions.bias [40]":                                           func(s map[string][]int, _ map[string][]byte) { delete(s, bias) },
		"tensor cls.predictions.bias is [39], by config.json it must be [40]":                    func(s map[string][]int, v map[string][]byte) { s[bias], v[bias] = []int{39}, v[bias][4:] },
		"there is no tensor cls.predictions.transform.LayerNorm.weight [20]":                     func(s map[string][]int, _ map[string][]byte) { delete(s, "cls.predictions.transform.LayerNorm.weight") },
		"cls.predictions.decoder.bias is not cls.predictions.bias, and they are the bias of one": func(s map[string][]int, v map[string][]byte) { s[again], v[again] = []int{40}, make([]byte, 160) },
		"cls.predictions.decoder.weight is not the token table": func(s map[string][]int, v map[string][]byte) {
			s["cls.predictions.decoder.weight"], v["cls.predictions.decoder.weight"] = []int{40, 20}, make([]byte, 3200)
		},
	} {
		_, err := Load(withBERTHead(t, change))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "generator_")
		require.True(t, usererr.Is(err))
	}
	damaged := load(t, withBERTHead(t, func(_ map[string][]int, v map[string][]byte) {
		binary.LittleEndian.PutUint32(v[bias], math.Float32bits(float32(math.NaN())))
	}))
	var said error
	for _, tensor := range damaged.Tensors() {
		said = cmp.Or(said, damaged.Read(tensor.Name, make([]float32, elements(tensor.Shape))))
	}
	require.ErrorContains(t, said, "tensor cls.predictions.bias: 1 of 40 values are no finite numbers")
}

// A byte order mark, which editors put before a text, is read past in every file of a folder.
func TestFolderWithByteOrderMarks(t *testing.T) {
	want := load(t, "testdata/bert")
	dir := copyFixture(t, "bert")
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), append([]byte("\ufeff"), text...), 0o644))
	}
	got := load(t, dir)
	require.Equal(t, want.Config, got.Config)
	require.Equal(t, want.Tokenizer.VocabSize(), got.Tokenizer.VocabSize())
}

// What does not fit is refused with the reason, as the user's to mend.
func TestLoadRefuses(t *testing.T) {
	const d, g = "discriminator", "generator"
	drop := func(name string) func(*safetensors.Info, *[]byte) {
		return func(info *safetensors.Info, _ *[]byte) {
			if info.Name == name {
				info.Name = ""
			}
		}
	}
	extra := func(name string, shape ...int) safetensors.Info {
		return safetensors.Info{Name: name, DType: "F32", Shape: shape}
	}
	for _, test := range []struct {
		name, want string
		spoil      func(t *testing.T, dir string)
	}{
		{"nothing there", "holds no model", func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, d)))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, g)))
		}},
		{"no weights", "no weights", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, d, weightsFile))) }},
		{"older weights", "holds pytorch_model.bin and no model.safetensors: load it in transformers", func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, d, weightsFile), filepath.Join(dir, d, "pytorch_model.bin")))
		}},
		{"split weights", "its weights are split", func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, d, weightsFile), filepath.Join(dir, d, weightsFile+".index.json")))
		}},
		{"cut weights", "model.safetensors", func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, d, weightsFile), 4000))
		}},
		{"no tokenizer", "no tokenizer", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, d, "tokenizer.json"))) }},
		{"not JSON", "not a config.json", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, d, settingsFile), []byte("{"), 0o644))
		}},
		{"endless JSON", "config.json has more than 1048576 bytes", func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, d, settingsFile), 1<<30))
		}},
		{"two discriminators", "both a main model", func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, g)))
			require.NoError(t, os.CopyFS(filepath.Join(dir, g), os.DirFS(filepath.Join(dir, d))))
		}},
		{"other model", `model_type is "gpt2"`, func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "model_type", "gpt2") }},
		{"old config", `it has no model_type, as some old ones; add "model_type": "bert" or "electra"`, func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "model_type", nil) }},
		{"half a model of ours", `the key "metrolab"`, func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "model_type", "metro") }},
		{"no size", "hidden_size must be there and at least 1, it is 0", func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "hidden_size", nil) }},
		{"broken size", "not a config.json", func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "hidden_size", 31.5) }},
		{"heads", "num_attention_heads, 3, does not divide hidden_size, 32", func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "num_attention_heads", 3) }},
		{"activation", `hidden_act is "silu"`, func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "hidden_act", "silu") }},
		{"epsilon", "layer_norm_eps is 0", func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "layer_norm_eps", 0) }},
		{"dropout", "hidden_dropout_prob is 1", func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "hidden_dropout_prob", 1) }},
		{"positions", `position_embedding_type is "relative_key"`, func(t *testing.T, dir string) {
			setting(t, filepath.Join(dir, d), "position_embedding_type", "relative_key")
		}},
		{"decoder", "is_decoder is set", func(t *testing.T, dir string) { setting(t, filepath.Join(dir, d), "is_decoder", true) }},
		{"absurd depth", "num_hidden_layers is 1000000000000, and model.safetensors holds", func(t *testing.T, dir string) {
			setting(t, filepath.Join(dir, d), "num_hidden_layers", 1000000000000)
		}},
		{"one layer more", "there is no tensor electra.encoder.layer.1.attention.self.query.weight [32 32]", func(t *testing.T, dir string) {
			setting(t, filepath.Join(dir, d), "num_hidden_layers", 2)
		}},
		{"other width", "tensor electra.encoder.layer.0.intermediate.dense.weight is [128 32], by config.json it must be [64 32]", func(t *testing.T, dir string) {
			setting(t, filepath.Join(dir, d), "intermediate_size", 64)
		}},
		{"missing tensor", "there is no tensor discriminator_predictions.dense.weight [32 32]", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, d), drop("discriminator_predictions.dense.weight"))
		}},
		{"tensor too many", "there is a tensor electra.encoder.layer.7.new [3], which config.json has no place for", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, d), unchanged, extra("electra.encoder.layer.7.new", 3))
		}},
		{"integers", "tensor electra.embeddings.LayerNorm.bias is of type I32", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, d), func(info *safetensors.Info, _ *[]byte) {
				if info.Name == "electra.embeddings.LayerNorm.bias" {
					info.DType = "I32"
				}
			})
		}},
		{"untied output", "generator_lm_head.weight is not the token table", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, g), unchanged, extra("generator_lm_head.weight", 48, 32))
		}},
		{"no pair", "are no pair: vocabulary 48 and 53, positions 10 and 16, embedding width 32 and 14", func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, g)))
			require.NoError(t, os.CopyFS(filepath.Join(dir, g), os.DirFS("testdata/electra-odd/generator")))
		}},
		{"large tokenizer", "the tokenizer has 53 tokens, but the model's table has 48", func(t *testing.T, dir string) {
			copyFile(t, "testdata/electra-odd/generator/tokenizer.json", filepath.Join(dir, d, "tokenizer.json"))
		}},
		{"two tokenizers", "have different tokenizers", func(t *testing.T, dir string) {
			copyFile(t, "testdata/bert/tokenizer.json", filepath.Join(dir, g, "tokenizer.json"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := copyFixture(t, "electra")
			test.spoil(t, dir)
			_, err := Load(dir)
			require.ErrorContains(t, err, test.want)
			require.True(t, usererr.Is(err), err)
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o644))
}

// Older programs write the tied output weights and counted positions too.
func TestOlderFiles(t *testing.T) {
	dir := copyFixture(t, "electra")
	table := "electra.embeddings.word_embeddings.weight"
	var values []byte
	rewrite(t, filepath.Join(dir, "generator"), func(info *safetensors.Info, data *[]byte) {
		switch info.Name {
		case table:
			values = slices.Clone(*data)
		case outputWeights:
			*data = values
		}
	}, safetensors.Info{Name: outputWeights, DType: "F32", Shape: []int{48, 32}},
		safetensors.Info{Name: "electra.embeddings.position_ids", DType: "I64", Shape: []int{1, 10}})
	f := load(t, dir)
	require.Empty(t, f.Notes)
	require.Equal(t, load(t, "testdata/electra").Config, f.Config)
}

// The first BERTs, and what was made of them, call a norm's gain gamma and its offset beta, in the encoder and in heads.
func TestOldNamesOfNorms(t *testing.T) {
	old := strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta")
	rename := func(info *safetensors.Info, _ *[]byte) { info.Name = old.Replace(info.Name) }
	for name, folders := range map[string][]string{"bert": {""}, "electra": {"discriminator", "generator"}} {
		dir := copyFixture(t, name)
		for _, folder := range folders {
			rewrite(t, filepath.Join(dir, folder), rename)
		}
		was, is := load(t, filepath.Join("testdata", name)), load(t, dir)
		require.Equal(t, was.Config, is.Config)
		require.Equal(t, was.Tensors(), is.Tensors())
		for _, tensor := range was.Tensors() {
			require.Equal(t, read(t, was, tensor), read(t, is, tensor), tensor.Name)
		}
	}
	twice := copyFixture(t, "bert")
	rewrite(t, twice, unchanged, safetensors.Info{Name: "encoder.layer.0.output.LayerNorm.gamma", DType: "F32", Shape: []int{20}})
	_, err := Load(twice)
	require.ErrorContains(t, err, "there is a tensor encoder.layer.0.output.LayerNorm.gamma [20], which config.json has no place for")
}

// A BERT that is published with its masked language modelling head, as the first ones are, guesses as the ELECTRA generator
// that has the same weights.
func TestBERTWithHead(t *testing.T) {
	const width, vocab = 20, 40
	head := []safetensors.Info{
		{Name: "generator_predictions.dense.weight", DType: "F32", Shape: []int{width, width}}, {Name: "generator_predictions.dense.bias", DType: "F32", Shape: []int{width}},
		{Name: "generator_predictions.LayerNorm.weight", DType: "F32", Shape: []int{width}}, {Name: "generator_predictions.LayerNorm.bias", DType: "F32", Shape: []int{width}},
		{Name: "generator_lm_head.bias", DType: "F32", Shape: []int{vocab}},
		{Name: "cls.seq_relationship.weight", DType: "F32", Shape: []int{2, width}},
	}
	written := func(names *strings.Replacer, encoder string) string {
		dir := copyFixture(t, "bert")
		rewrite(t, dir, func(info *safetensors.Info, data *[]byte) {
			if strings.HasPrefix(info.Name, "generator_") {
				for i := 0; i < len(*data); i += 4 {
					binary.LittleEndian.PutUint32((*data)[i:], math.Float32bits(float32(i%13-6)/50))
				}
			} else if !strings.HasPrefix(info.Name, "cls.") {
				info.Name = encoder + info.Name
			}
			info.Name = names.Replace(info.Name)
		}, head...)
		return dir
	}
	bert := load(t, written(strings.NewReplacer("generator_predictions.", "cls.predictions.transform.", "generator_lm_head", "cls.predictions",
		"LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta"), "bert."))
	require.Contains(t, bert.Notes[0], "3 tensors belong to no part that is read here, such as bert.pooler.dense.bias")
	dir := written(strings.NewReplacer(), "electra.")
	setting(t, dir, "model_type", "electra")
	setting(t, dir, "embedding_size", width)
	electra := load(t, dir)
	require.Equal(t, len(electra.Tensors()), len(bert.Tensors()))
	place := func(name string) string { // of a tensor in its model
		_, rest, _ := strings.Cut(name, ".")
		return strings.Replace(rest, "lm.", "head.", 1)
	}
	byPlace := map[string]weights.Tensor{}
	for _, tensor := range bert.Tensors() {
		byPlace[place(tensor.Name)] = tensor
	}
	for _, tensor := range electra.Tensors() {
		require.Equal(t, read(t, electra, tensor), read(t, bert, byPlace[place(tensor.Name)]), tensor.Name)
	}
}

// What stands before all names of a model that was wrapped, in the encoder and in heads, is read past; of two wrapped models
// nobody knows which is meant.
func TestWrappedModels(t *testing.T) {
	for _, outer := range []string{"module.", "discriminator.model."} {
		for _, folder := range []string{"bert", "electra/discriminator", "electra/generator"} {
			dir := copyFixture(t, folder)
			rewrite(t, dir, func(info *safetensors.Info, _ *[]byte) { info.Name = outer + info.Name })
			was, is := load(t, filepath.Join("testdata", folder)), load(t, dir)
			require.Equal(t, was.Config, is.Config)
			require.Equal(t, was.Tensors(), is.Tensors())
			for _, tensor := range was.Tensors() {
				require.Equal(t, read(t, was, tensor), read(t, is, tensor), tensor.Name)
			}
			require.Equal(t, len(was.Notes), len(is.Notes))
		}
	}
	dir := copyFixture(t, "electra/discriminator")
	rewrite(t, dir, unchanged, safetensors.Info{Name: "generator.electra.embeddings.word_embeddings.weight", DType: "F32", Shape: []int{48, 32}})
	_, err := Load(dir)
	require.ErrorContains(t, err, "model.safetensors holds 2 models, with the tables electra.embeddings.word_embeddings.weight and generator.electra.")
	require.True(t, usererr.Is(err))
}

// Numbers that are none are refused where they are read, under the name that the file gives the tensor.
func TestNotFinite(t *testing.T) {
	const name = "electra.encoder.layer.0.attention.self.query.weight"
	for value, bits := range map[string]uint32{"NaN": 0x7fc00000, "+Inf": 0x7f800000, "-Inf": 0xff800000} {
		dir := copyFixture(t, "electra/discriminator")
		rewrite(t, dir, func(info *safetensors.Info, data *[]byte) {
			if info.Name == name {
				binary.LittleEndian.PutUint32((*data)[400:], bits)
			}
		})
		f := load(t, dir)
		_, err := weights.Hash(f)
		require.ErrorContains(t, err, name+": 1 of 1024 values are no finite numbers, such as "+value)
		_, err = Export(filepath.Join(t.TempDir(), "out"), f.Tokenizer, f)
		require.ErrorContains(t, err, name)
	}
}

// A model without a tokenizer is one that reads ids; config.json says what padding is.
func TestWithoutTokenizer(t *testing.T) {
	dir := copyFixture(t, "electra")
	for _, folder := range []string{"discriminator", "generator"} {
		require.NoError(t, os.Remove(filepath.Join(dir, folder, "tokenizer.json")))
		setting(t, filepath.Join(dir, folder), "pad_token_id", 5)
	}
	f := load(t, dir)
	require.Nil(t, f.Tokenizer)
	require.Equal(t, int32(5), f.Model().PadID)
}

// How much two models share is seen from their tables.
func TestFindSharing(t *testing.T) {
	change := func(name string) func(info *safetensors.Info, data *[]byte) {
		return func(info *safetensors.Info, data *[]byte) {
			if strings.HasSuffix(info.Name, name) {
				last := (*data)[len(*data)-4:]
				binary.LittleEndian.PutUint32(last, binary.LittleEndian.Uint32(last)+1)
			}
		}
	}
	for name, want := range map[string]string{
		"nothing":                          metro.SharingTokenPositionNorm,
		"embeddings.LayerNorm.weight":      metro.SharingTokenPosition,
		"embeddings.LayerNorm.bias":        metro.SharingTokenPosition,
		"position_embeddings.weight":       metro.SharingToken,
		"token_type_embeddings.weight":     metro.SharingToken,
		"word_embeddings.weight":           metro.SharingNone,
		"layer.0.attention.self.key.bias":  metro.SharingTokenPositionNorm,
		"embeddings_project.weight":        metro.SharingTokenPositionNorm,
		"generator_predictions.dense.bias": metro.SharingTokenPositionNorm,
	} {
		dir := copyFixture(t, "electra")
		rewrite(t, filepath.Join(dir, "generator"), change(name))
		require.Equal(t, want, load(t, dir).Config.Sharing, name)
	}
}
