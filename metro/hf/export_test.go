// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/weights"
)

// Our export of what transformers wrote has the same tensors, to the name and to the bit, and settings of the same
// meaning.
func TestExportOfAnImport(t *testing.T) {
	for _, name := range []string{"electra", "electra-odd"} {
		t.Run(name, func(t *testing.T) {
			theirs := load(t, filepath.Join("testdata", name))
			dir := filepath.Join(t.TempDir(), "out")
			notes, err := Export(dir, theirs.Tokenizer, theirs)
			require.NoError(t, err)
			require.Empty(t, notes)

			ours := load(t, dir)
			require.Equal(t, theirs.Config, ours.Config)
			require.Equal(t, theirs.Tokenizer.Hash(), ours.Tokenizer.Hash())
			for _, pair := range [][2]*part{{theirs.main, ours.main}, {theirs.generator, ours.generator}} {
				require.Equal(t, pair[0].settings.Architectures, pair[1].settings.Architectures)
				require.Equal(t, map[string]string{"format": "pt"}, pair[1].file.file.Metadata())
				require.Equal(t, tensorNames(pair[0]), tensorNames(pair[1]))
				for _, name := range tensorNames(pair[0]) {
					same, err := equalTensors(pair[0], name, pair[1], name)
					require.NoError(t, err)
					require.True(t, same, name)
				}
			}
			files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
			require.NoError(t, err)
			for i, file := range files {
				files[i], err = filepath.Rel(dir, file)
				require.NoError(t, err)
			}
			var want []string
			for _, folder := range []string{"discriminator", "generator"} {
				for _, file := range []string{"config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"} {
					want = append(want, filepath.Join(folder, file))
				}
			}
			require.Equal(t, want, files)
		})
	}
}

func tensorNames(p *part) []string {
	var names []string
	for _, info := range p.file.Tensors() {
		names = append(names, info.Name)
	}
	slices.Sort(names)
	return names
}

// Every model comes back as it was: all variables, and so the loss. What ELECTRA has a place for is ELECTRA's, the rest
// says why it is not.
func TestExportAndBack(t *testing.T) {
	for _, test := range []struct {
		name        string
		config      metro.Config
		main        string // model types
		generator   string
		reason      string // in a note
		architected string // of the main model
	}{
		{name: "electra", config: electraConfig(), main: "electra", generator: "electra", architected: "ElectraForPreTraining"},
		{
			name: "sharing none", main: "electra", generator: "electra",
			config: with(func(c *metro.Config) { c.Sharing = metro.SharingNone }),
		},
		{
			name: "sharing token", main: "electra", generator: "electra",
			config: with(func(c *metro.Config) { c.Sharing = metro.SharingToken }),
		},
		{
			name: "sharing token and position", main: "electra", generator: "electra",
			config: with(func(c *metro.Config) { c.Sharing = metro.SharingTokenPosition }),
		},
		{
			name: "sharing all", main: "electra", generator: "electra",
			config: with(func(c *metro.Config) { c.Sharing, c.Generator = metro.SharingAll, c.Main }),
		},
		{
			name: "one width, no projection", main: "electra", generator: "electra",
			config: with(func(c *metro.Config) {
				c.Embeddings.Width, c.Generator.Width, c.Main.Activation = 0, 8, "gelu_tanh"
			}),
		},
		{
			name: "masked language model", main: "electra", architected: "ElectraForMaskedLM",
			config: with(func(c *metro.Config) { c.Objective.Name = "mlm"; c.Replacements.Source = metro.SourceUniform }),
		},
		{
			name: "no generator", main: "electra",
			config: with(func(c *metro.Config) { c.Replacements.Source = metro.SourceUniform }),
		},
		{
			name: "corrective head", main: "metro", generator: "electra", reason: "discriminator: not an ELECTRA model, because it has a corrective language modelling head",
			config: with(func(c *metro.Config) { c.Objective.Name, c.Objective.CLM = "rtd_clm", metro.CLMSimplified }),
		},
		{
			name: "early exits", main: "metro", generator: "electra", reason: "RTD heads below the last layer and a corrective language modelling head",
			config: with(func(c *metro.Config) {
				c.Main.Layers, c.Objective.CLM = 3, metro.CLMSimplified
				*c, _ = c.WithExits("2")
			}),
		},
		{
			name: "sequence contrast", main: "metro", generator: "electra", reason: "a corrective language modelling head and a sequence contrast head",
			config: with(func(c *metro.Config) { c.Objective.Name, c.Objective.CLM = "rtd_clm_scl", metro.CLMSimplified }),
		},
		{
			name: "relative positions", main: "metro", generator: "metro", reason: "generator: not an ELECTRA model, because it has a relative position bias",
			config: with(func(c *metro.Config) {
				c.Positions = metro.Positions{Relative: metro.RelativeSignedLog, Bins: 8, MaxDistance: 16, Scale: 3}
			}),
		},
		{
			name: "a table in each layer", main: "metro", generator: "metro", reason: "positions.relative=t5",
			config: with(func(c *metro.Config) {
				c.Positions = metro.Positions{Absolute: true, Relative: metro.RelativeT5, PerLayer: true, Bins: 8, MaxDistance: 16, Scale: 1}
			}),
		},
		{
			name: "a position table longer than the rows", main: "electra", generator: "electra",
			config: with(func(c *metro.Config) { c.Positions.Rows = 11 }),
		},
		{
			name: "pre-LN main model", main: "metro", generator: "electra", reason: "pre-LN",
			config: with(func(c *metro.Config) { c.Main.Norm = metro.NormPre }),
		},
		{
			name: "linear head", main: "metro", generator: "electra", reason: "objective.rtd_head=linear",
			config: with(func(c *metro.Config) { c.Objective.RTDHead = metro.RTDHeadLinear }),
		},
		{
			name: "plain generator head", main: "electra", generator: "metro", reason: "without layer normalisation",
			config: with(func(c *metro.Config) { c.Objective.GeneratorHead = metro.GeneratorHeadPlain }),
		},
		{
			name: "generator with ReLU", main: "electra", generator: "metro", reason: "a masked language modelling head with relu",
			config: with(func(c *metro.Config) { c.Generator.Activation = "relu" }),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			tokenizer, c := testTokenizer(t), test.config
			model, store := newModel(t, c, tokenizer.VocabSize()+3)
			dir := filepath.Join(t.TempDir(), "out")
			notes, err := Export(dir, tokenizer, model)
			require.NoError(t, err)
			require.Equal(t, test.reason == "", len(notes) == 0, notes)
			require.Contains(t, strings.Join(notes, "\n"), test.reason)

			back := load(t, dir)
			require.Empty(t, back.Notes)
			require.Equal(t, test.main, back.main.settings.ModelType)
			if test.architected != "" {
				require.Equal(t, []string{test.architected}, back.main.settings.Architectures)
			}
			require.Equal(t, test.generator != "", back.generator != nil)
			if back.generator != nil {
				require.Equal(t, test.generator, back.generator.settings.ModelType)
				require.Equal(t, c.Sharing, back.Config.Sharing)
			}
			src := as(t, back, c)
			require.Equal(t, sortedNames(model), sortedNames(src))
			for _, tensor := range model.Tensors() {
				require.Equal(t, read(t, model, tensor), read(t, src, tensor), tensor.Name)
			}
			again := newStore(t, src, dtypes.Float32)
			require.Equal(t, outputs(t, c, tokenizer.VocabSize()+3, store), outputs(t, c, tokenizer.VocabSize()+3, again))

			shaped := back.Shape(c)
			shaped.Data.VocabSize, shaped.Embeddings.Width, shaped.Positions = c.Data.VocabSize, c.Embeddings.Width, c.Positions
			require.Equal(t, c, shaped)
		})
	}
}

func sortedNames(s weights.Source) []string {
	var names []string
	for _, tensor := range s.Tensors() {
		names = append(names, tensor.Name)
	}
	slices.Sort(names)
	return names
}

// A model without token types or absolute positions becomes an ELECTRA model whose tables are zeros there: the same
// function. So does the other model of the pair, whatever it is, because a pair has one shape of tables.
func TestExportFillsWithZeros(t *testing.T) {
	for _, objective := range []string{"rtd", "rtd_clm"} {
		t.Run(objective, func(t *testing.T) {
			c := with(func(c *metro.Config) {
				c.Embeddings.TokenTypes, c.Positions.Absolute = 0, false
				c.Objective.Name, c.Objective.CLM = objective, metro.CLMSimplified
			})
			tokenizer := testTokenizer(t)
			model, store := newModel(t, c, tokenizer.VocabSize())
			dir := filepath.Join(t.TempDir(), "out")
			_, err := Export(dir, tokenizer, model)
			require.NoError(t, err)

			back := load(t, dir)
			filled := back.Shape(c)
			require.Equal(t, 2, filled.Embeddings.TokenTypes)
			require.True(t, filled.Positions.Absolute)
			src := as(t, back, filled)
			for name, rows := range map[string]int{"shared.token_type_embedding": 2, "shared.position_embedding": 7} {
				require.Equal(t, make([]float32, rows*5), read(t, src, weights.Tensor{Name: name, Shape: []int{rows, 5}}))
			}
			require.Equal(t, outputs(t, c, tokenizer.VocabSize(), store),
				outputs(t, filled, tokenizer.VocabSize(), newStore(t, src, dtypes.Float32)))
		})
	}
}

// Under gradient-disentangled sharing the main model's tables are sums, and that is what is written.
func TestExportAddsUp(t *testing.T) {
	c := with(func(c *metro.Config) { c.Sharing = metro.SharingGDES })
	tokenizer := testTokenizer(t)
	model, store := newModel(t, c, tokenizer.VocabSize())
	dir := filepath.Join(t.TempDir(), "out")
	notes, err := Export(dir, tokenizer, model)
	require.NoError(t, err)
	require.Empty(t, notes)

	back := load(t, dir)
	require.Equal(t, metro.SharingNone, back.Config.Sharing)
	untied := back.Shape(c)
	src := as(t, back, untied)
	require.Equal(t, outputs(t, c, tokenizer.VocabSize(), store),
		outputs(t, untied, tokenizer.VocabSize(), newStore(t, src, dtypes.Float32)))
	_, err = weights.As(back, c, metro.Describe(c, tokenizer.VocabSize()))
	require.ErrorContains(t, err, "sharing is none there and gdes in the config")
}

// What layers share is written for each, so that a plain model of as many layers comes back, which computes the same.
func TestExportWritesOutWhatLayersShare(t *testing.T) {
	for _, sharing := range []string{metro.LayerSharingFeedForward, metro.LayerSharingAll} {
		c := with(func(c *metro.Config) { c.Main.LayerSharing = sharing })
		tokenizer := testTokenizer(t)
		model, store := newModel(t, c, tokenizer.VocabSize())
		dir := filepath.Join(t.TempDir(), "out")
		notes, err := Export(dir, tokenizer, model)
		require.NoError(t, err)
		require.Empty(t, notes)

		back := load(t, dir)
		require.Equal(t, metro.LayerSharingNone, back.Config.Main.LayerSharing)
		plain := back.Shape(c)
		src := as(t, back, plain)
		require.Equal(t, outputs(t, c, tokenizer.VocabSize(), store),
			outputs(t, plain, tokenizer.VocabSize(), newStore(t, src, dtypes.Float32)))
		_, err = weights.As(back, c, metro.Describe(c, tokenizer.VocabSize()))
		require.ErrorContains(t, err, "main.layer_sharing is none there and "+sharing+" in the config")
	}
}

// Vectors that are computed of bytes have no place in a folder.
func TestBytesAreNotExported(t *testing.T) {
	c := with(func(c *metro.Config) { c.Embeddings.Kind = metro.EmbedderBytes })
	_, err := planExport(c, testTokenizer(t), nil, nil)
	require.ErrorContains(t, err, "embeddings.kind=bytes computes its vectors from bytes, for which a Hugging Face folder has no place; use the run itself, which other runs can begin with too (training.init_from), or train with embeddings.kind=table")
}

func TestExportNamesWhatItLeavesOut(t *testing.T) {
	tokenizer := testTokenizer(t)
	model, _ := newModel(t, electraConfig(), tokenizer.VocabSize())
	model.byName["main.mine.weights"] = model.byName["main.rtd.output.bias"]
	notes, err := Export(filepath.Join(t.TempDir(), "out"), tokenizer, model)
	require.NoError(t, err)
	require.Equal(t, []string{"1 tensors have no place in a folder and were left out, such as main.mine.weights"}, notes)
}

func TestExportOverwritesNothing(t *testing.T) {
	tokenizer := testTokenizer(t)
	model, _ := newModel(t, electraConfig(), tokenizer.VocabSize())
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	require.NoError(t, os.WriteFile(kept, []byte("mine"), 0o644))
	_, err := Export(dir, tokenizer, model)
	require.ErrorContains(t, err, "is there and not empty")
	require.True(t, usererr.Is(err))

	_, err = Export(kept, tokenizer, model)
	require.ErrorContains(t, err, "kept")
	require.True(t, usererr.Is(err))

	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.Mkdir(empty, 0o755))
	_, err = Export(empty, tokenizer, model)
	require.NoError(t, err)
}

// broken fails when one tensor is asked for.
type broken struct {
	variables
	at string
}

func (b broken) Read(name string, dst []float32) error {
	if name == b.at {
		return errors.New("the disk is gone")
	}
	return b.variables.Read(name, dst)
}

// Wherever it fails, nothing is left behind.
func TestExportAllOrNothing(t *testing.T) {
	tokenizer := testTokenizer(t)
	model, _ := newModel(t, electraConfig(), tokenizer.VocabSize())
	for _, at := range []string{"shared.token_embedding", "generator.head.output_bias"} {
		parent := t.TempDir()
		_, err := Export(filepath.Join(parent, "out"), tokenizer, broken{model, at})
		require.ErrorContains(t, err, "the disk is gone")
		require.False(t, usererr.Is(err))
		left, err := os.ReadDir(parent)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestExportOfTheWrongConfig(t *testing.T) {
	tokenizer := testTokenizer(t)
	model, _ := newModel(t, electraConfig(), tokenizer.VocabSize())
	dir := filepath.Join(t.TempDir(), "out")
	model.model.Config.Main.FFN = 13
	_, err := Export(dir, tokenizer, model)
	require.ErrorContains(t, err, "by the config tensor main.layer_0.ffn_in.weights is [8 13], in the weights it is [8 12]")
	model.model.Config = with(func(c *metro.Config) { c.Main.Layers = 3 })
	_, err = Export(dir, tokenizer, model)
	require.ErrorContains(t, err, "main.layer_2")

	model.model.Config = electraConfig()
	delete(model.byName, "shared.token_embedding")
	_, err = Export(dir, tokenizer, model)
	require.ErrorContains(t, err, "no token table")

	small, _ := newModel(t, electraConfig(), tokenizer.VocabSize()-1)
	_, err = Export(dir, tokenizer, small)
	require.ErrorContains(t, err, "the tokenizer has 48 tokens, but the model's table has 47")
	require.True(t, usererr.Is(err))
}
