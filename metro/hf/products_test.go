// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/compress"
	"metrolab/metro/tokens"
	"metrolab/metro/weights"
)

// compressed makes matrices of src of low rank.
func compressed(t *testing.T, src weights.Source, o compress.Options) (weights.Source, []compress.Part) {
	t.Helper()
	low, parts, err := compress.Compress(t.Context(), src, o, nil)
	require.NoError(t, err)
	return low, parts
}

// random is a model of c with weights that nothing can be left out of.
func random(t *testing.T, c metro.Config) weights.Source {
	t.Helper()
	model, _ := newModel(t, c, testTokenizer(t).VocabSize())
	for i, tensor := range model.Tensors() {
		values := make([]float32, tensor.Size())
		for k := range values {
			values[k] = float32(math.Sin(float64(1 + i + 7*k*k)))
		}
		require.NoError(t, model.byName[tensor.Name].SetValue(toTensor(model.byName[tensor.Name].DType(), values, tensor.Shape)))
	}
	return model
}

// written is src as export writes it, opened again.
func written(t *testing.T, src weights.Source, export func(string, tokens.Tokenizer, weights.Source) ([]string, error)) *Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	_, err := export(dir, testTokenizer(t), src)
	require.NoError(t, err)
	return load(t, dir)
}

// numbers is how many are in the files of a folder.
func numbers(t *testing.T, f *Folder) (n int) {
	t.Helper()
	for _, p := range f.parts() {
		for _, info := range p.file.file.Tensors() {
			n += elements(info.Shape)
		}
	}
	return n
}

// same compares two sources to the bit.
func same(t *testing.T, want, got weights.Source) {
	t.Helper()
	require.ElementsMatch(t, want.Tensors(), got.Tensors())
	for _, tensor := range want.Tensors() {
		a, b := read(t, want, tensor), read(t, got, tensor)
		for i := range a {
			if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
				require.Failf(t, "not the same", "%s[%d] is %v and %v", tensor.Name, i, a[i], b[i])
			}
		}
	}
}

// In whatever way a model was compressed, a folder of its factors is read as their product, to the bit, from a file that is smaller by
// the numbers that the receipt says; and that is what is written without factors, but for the rounding of the factors.
func TestFactorsAreTheProduct(t *testing.T) {
	c := with(func(c *metro.Config) {
		c.Main.Layers, c.Main.Width, c.Main.FFN, c.Embeddings.Width = 3, 16, 24, 10
		c.Positions.Relative, c.Positions.Bins, c.Positions.MaxDistance = metro.RelativeT5, 8, 16 // a model of ours in both forms
	})
	src := random(t, c)
	for _, o := range []compress.Options{
		{Method: compress.MethodCP, Target: compress.TargetFeedForward, Rank: 4},
		{Method: compress.MethodCP, Target: compress.TargetFeedForward, Rank: 16, Across: true, Normalise: true},
		{Method: compress.MethodCP, Target: compress.TargetAttention, Layers: "last", Rank: 5, Start: compress.StartRandom, Seed: 3},
		{Method: compress.MethodCP, Target: compress.TargetAttention, Layers: "0-1", Across: true, Rank: 3},
		{Method: compress.MethodCP, Target: compress.TargetEmbeddings, Rank: 4},
		{Method: compress.MethodTucker, Target: compress.TargetFeedForward, Rank: 6, Normalise: true},
		{Method: compress.MethodTucker, Target: compress.TargetAttention, Rank: 7, Across: true},
		{Method: compress.MethodTucker, Target: compress.TargetEmbeddings, Rank: 2},
		{Method: compress.MethodSVD, Target: compress.TargetFeedForward, Layers: "1", Rank: 3},
		{Method: compress.MethodSVD, Target: compress.TargetAttention, Rank: 7},
		{Method: compress.MethodSVD, Target: compress.TargetEmbeddings, Rank: 8},
	} {
		t.Run(fmt.Sprintf("%s %s %s across %v", o.Method, o.Target, o.Layers, o.Across), func(t *testing.T) {
			plain, partsPlain := compressed(t, src, o)
			o.Factors = true
			low, parts := compressed(t, src, o)
			for i, p := range partsPlain {
				require.InDelta(t, p.Error, parts[i].Error, 1e-6)
				p.Error = parts[i].Error
				require.Equal(t, p, parts[i])
			}
			for _, tensor := range plain.Tensors() {
				require.InDeltaSlice(t, read(t, plain, tensor), read(t, low, tensor), 1e-5, tensor.Name)
			}

			product, factors := written(t, low, Export), written(t, low, ExportFactors)
			require.Equal(t, product.Config, factors.Config)
			same(t, product, factors)
			want, err := weights.Hash(as(t, product, c))
			require.NoError(t, err)
			got, err := weights.Hash(as(t, factors, c))
			require.NoError(t, err)
			require.Equal(t, want, got)

			before, after := compress.Numbers(parts)
			saved := before - after
			if o.Target == compress.TargetEmbeddings {
				saved *= 2 // both folders have the table that the models share
			}
			require.Equal(t, numbers(t, product)-saved, numbers(t, factors))
			stored, err := weights.StoredAs(factors)
			require.NoError(t, err)
			require.Equal(t, []int{before, after}, []int{stored.Numbers, stored.Factors})
			require.Contains(t, factors.Notes[0], fmt.Sprintf("(%d numbers in place of %d)", after, before))

			touched := map[string]bool{}
			for _, p := range parts {
				for _, name := range p.Tensors {
					touched[name] = true
				}
			}
			model := as(t, factors, c)
			for _, tensor := range src.Tensors() {
				if !touched[tensor.Name] {
					require.Equal(t, read(t, src, tensor), read(t, model, tensor), tensor.Name)
				}
			}
		})
	}
}

// What transformers could read as an ELECTRA model is none of it as factors, and is again one when it is exported.
func TestFactorsAreNotElectras(t *testing.T) {
	low, _ := compressed(t, random(t, electraConfig()), compress.Options{Method: compress.MethodSVD, Target: compress.TargetAttention, Rank: 2, Factors: true})
	dir := filepath.Join(t.TempDir(), "out")
	notes, err := ExportFactors(dir, testTokenizer(t), low)
	require.NoError(t, err)
	require.Equal(t, []string{"discriminator: not an ELECTRA model, because it has matrices as factors (8); only metrolab reads it"}, notes)
	f := load(t, dir)
	require.Equal(t, metroType, f.main.settings.ModelType)
	require.Empty(t, f.main.settings.Architectures)
	require.Equal(t, electraType, f.generator.settings.ModelType)

	product := written(t, low, Export)
	require.Equal(t, electraType, product.main.settings.ModelType)
	again := written(t, f, Export)
	require.Equal(t, product.Config, again.Config)
	same(t, product, again)
	for _, name := range []string{settingsFile, weightsFile} {
		want, err := os.ReadFile(filepath.Join(product.Dir, "discriminator", name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(again.Dir, "discriminator", name))
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
}

// A model is compressed twice: factors that are not touched again stay factors, also if others of their stack are.
func TestFactorsOfFactors(t *testing.T) {
	c := with(func(c *metro.Config) { c.Main.Layers, c.Main.Width, c.Main.FFN, c.Embeddings.Width = 3, 16, 24, 10 })
	first, _ := compressed(t, random(t, c), compress.Options{Method: compress.MethodCP, Target: compress.TargetAttention, Across: true, Rank: 4, Factors: true})
	once := written(t, first, ExportFactors)
	stored, err := weights.StoredAs(once)
	require.NoError(t, err)
	require.Equal(t, weights.Stored{Matrices: 12, Numbers: 12 * 256, Factors: 4 * (16 + 16 + 12 + 1)}, stored)

	second, _ := compressed(t, as(t, once, once.Config), compress.Options{Method: compress.MethodTucker, Target: compress.TargetFeedForward, Layers: "0", Rank: 3, Factors: true})
	twice := written(t, second, ExportFactors)
	same(t, second, twice)
	stored, err = weights.StoredAs(twice)
	require.NoError(t, err)
	require.Equal(t, weights.Stored{Matrices: 14, Numbers: 12*256 + 2*384, Factors: 180 + 3*3*2 + 3*(16+24) + 2*2}, stored)

	third, _ := compressed(t, as(t, twice, twice.Config), compress.Options{Method: compress.MethodSVD, Target: compress.TargetAttention, Layers: "1-2", Rank: 2, Factors: true})
	thrice := written(t, third, ExportFactors)
	same(t, third, thrice)
	stored, err = weights.StoredAs(thrice)
	require.NoError(t, err)
	require.Equal(t, weights.Stored{Matrices: 14, Numbers: 12*256 + 2*384, Factors: 4*(16+16+4+1) + 142 + 8*2*32}, stored)
	for _, tensor := range twice.Tensors() {
		if strings.HasPrefix(tensor.Name, "main.layer_0.attention") {
			require.Equal(t, read(t, twice, tensor), read(t, thrice, tensor), tensor.Name)
		}
	}

	noise, _ := compressed(t, as(t, thrice, thrice.Config), compress.Options{Method: compress.MethodNoise, Target: compress.TargetAttention, Layers: "1-2", Rank: 2})
	stored, err = weights.StoredAs(written(t, noise, ExportFactors))
	require.NoError(t, err)
	require.Equal(t, 6, stored.Matrices, "noise has no factors")
	fourth, _ := compressed(t, as(t, thrice, thrice.Config), compress.Options{Method: compress.MethodCP, Target: compress.TargetAttention, Layers: "0", Rank: 2, Factors: true})
	few := written(t, fourth, ExportFactors)
	same(t, fourth, few)
}

// Both models of a pair are the same layers, and have the same factors.
func TestFactorsThatAreShared(t *testing.T) {
	c := with(func(c *metro.Config) { c.Sharing, c.Generator = metro.SharingAll, c.Main })
	low, _ := compressed(t, random(t, c), compress.Options{Method: compress.MethodCP, Target: compress.TargetFeedForward, Across: true, Rank: 2, Factors: true})
	f := written(t, low, ExportFactors)
	require.Equal(t, metro.SharingAll, f.Config.Sharing)
	require.Len(t, f.Notes, 2)
	same(t, low, as(t, f, c))
}

// What is damaged is refused in a sentence, as the user's to mend.
func TestDamagedFactors(t *testing.T) {
	low, _ := compressed(t, random(t, electraConfig()), compress.Options{Method: compress.MethodTucker, Target: compress.TargetFeedForward, Layers: "0", Rank: 2, Factors: true})
	const first = "metro.encoder.layer.0.intermediate.dense.weight"
	drop := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, dir, func(info *safetensors.Info, _ *[]byte) {
				if info.Name == name {
					info.Name = ""
				}
			})
		}
	}
	extra := func(name string, shape ...int) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, dir, unchanged, safetensors.Info{Name: name, DType: "F32", Shape: shape})
		}
	}
	resized := func(name string, shape ...int) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			rewrite(t, dir, func(info *safetensors.Info, data *[]byte) {
				if info.Name == name {
					info.Shape, *data = shape, make([]byte, 4*elements(shape))
				}
			})
		}
	}
	edited := func(change func(ours map[string]any)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			data, err := os.ReadFile(filepath.Join(dir, settingsFile))
			require.NoError(t, err)
			var all map[string]any
			require.NoError(t, json.Unmarshal(data, &all))
			ours := all["metrolab"].(map[string]any)
			change(ours)
			setting(t, dir, "metrolab", ours)
		}
	}
	mark := func(change func(one map[string]any)) func(t *testing.T, dir string) {
		return edited(func(ours map[string]any) { change(ours["products"].([]any)[0].(map[string]any)) })
	}
	for _, test := range []struct {
		want  string
		spoil func(t *testing.T, dir string)
	}{
		{"there is no tensor products.0.core, a factor of " + first, drop("products.0.core")},
		{"the ranks of its factors differ: rows [8 3], columns [12 2], slices [2 2], core [2 2 2]", resized("products.0.rows", 8, 3)},
		{"core has the shape [8], and of tucker it has 3 axes, none of them empty", resized("products.0.core", 8)},
		{"rows has the shape [8 0], and of tucker it has 2 axes, none of them empty", resized("products.0.rows", 8, 0)},
		{"tensor " + first + " is [12 7], by config.json it must be [12 8]", resized("products.0.rows", 7, 2)},
		{"products.0 is for 3 matrices, and config.json names 2", resized("products.0.slices", 3, 2)},
		{"there is a tensor products.1.rows [2 2], a factor of no product that config.json names", extra("products.1.rows", 2, 2)},
		{"tensor " + first + " stands in model.safetensors whole, and is a product, products.0, by config.json", extra(first, 12, 8)},
		{"tensor products.0.rows is of type I32; factors are F64, F32, F16 or BF16", func(t *testing.T, dir string) {
			rewrite(t, dir, func(info *safetensors.Info, _ *[]byte) {
				if info.Name == "products.0.rows" {
					info.DType = "I32"
				}
			})
		}},
		{`metrolab.products[0].method is "lu"; "cp", "tucker" and "svd" are known`, mark(func(one map[string]any) { one["method"] = "lu" })},
		{"products.0 is for 1 matrices, and config.json names 2", mark(func(one map[string]any) { one["method"] = "svd" })},
		{`metrolab.products: json: unknown field "scales"`, mark(func(one map[string]any) { one["scales"] = []int{1} })},
		{"metrolab.products[0] names no tensor", mark(func(one map[string]any) { delete(one, "matrices") })},
		{"metrolab.products[0] names the tensor \"a\", which is none or stands in two products", mark(func(one map[string]any) {
			one["matrices"] = []any{map[string]any{"tensor": "a"}, map[string]any{"tensor": "a"}}
		})},
		{"there is no tensor " + first, mark(func(one map[string]any) {
			one["matrices"].([]any)[0].(map[string]any)["tensor"] = "mine"
		})},
		{"there is no tensor " + first, edited(func(ours map[string]any) { delete(ours, "products") })},
		{"must be [12 8]", mark(func(one map[string]any) { one["matrices"].([]any)[0].(map[string]any)["transposed"] = false })},
		{`metrolab.products goes with the model_type "metro", and it is "electra"`, func(t *testing.T, dir string) { setting(t, dir, "model_type", "electra") }},
		{"model.safetensors", func(t *testing.T, dir string) { require.NoError(t, os.Truncate(filepath.Join(dir, weightsFile), 3000)) }},
	} {
		t.Run(test.want, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			_, err := ExportFactors(dir, testTokenizer(t), low)
			require.NoError(t, err)
			test.spoil(t, filepath.Join(dir, "discriminator"))
			_, err = Load(dir)
			require.ErrorContains(t, err, test.want)
			require.True(t, usererr.Is(err))
		})
	}
}

// Numbers that are none are refused where they are read.
func TestFactorsThatAreNotFinite(t *testing.T) {
	low, _ := compressed(t, random(t, electraConfig()), compress.Options{Method: compress.MethodSVD, Target: compress.TargetAttention, Layers: "1", Rank: 2, Factors: true})
	f := written(t, low, ExportFactors)
	rewrite(t, filepath.Join(f.Dir, "discriminator"), func(info *safetensors.Info, data *[]byte) {
		if info.Name == "products.2.rows" {
			copy((*data)[8:], []byte{0, 0, 0xc0, 0x7f})
		}
	})
	f = load(t, f.Dir)
	_, err := weights.Hash(f)
	require.ErrorContains(t, err, "tensor products.2.rows: 1 of 16 values are no finite numbers, such as NaN")
}

// A folder that was written once, with all three methods, is the same weights to the bit for every version and on every machine.
func TestFactorsAsTheyWereWritten(t *testing.T) {
	f := load(t, "testdata/factors")
	stored, err := weights.StoredAs(f)
	require.NoError(t, err)
	require.Equal(t, weights.Stored{Matrices: 12, Numbers: 4*96 + 8*64, Factors: 3*(8+12+4+1) + (3*3*4 + 3*(8+8) + 4*4) + 4*2*(8+8)}, stored)
	hash, err := weights.Hash(f)
	require.NoError(t, err)
	require.Equal(t, "16eb6fef2ad13f9ad72f10cd43b2f3187e7be6b24376e70409e85d5944875e27", hash)
}

// Whatever config.json says of products of the tensors that there are, it is refused, or every matrix has the size that is promised.
func FuzzProducts(f *testing.F) {
	for _, seed := range []string{
		`[{"method": "svd", "matrices": [{"tensor": "a"}]}]`,
		`[{"method": "svd", "matrices": [{"tensor": "a", "transposed": true}]}, {"method": "cp", "matrices": [{"tensor": "b"}, {"tensor": "c"}]}]`,
		`[{"method": "tucker", "matrices": [{"tensor": "b"}, {"tensor": "c"}]}]`,
		`[{"method": "cp", "matrices": []}]`, `[{"method": "lu", "matrices": [{"tensor": "a"}]}]`, `[{}]`, `{}`, `null`,
		`[{"method": "svd", "matrices": [{"tensor": "a", "scale": 2}]}]`, `[{"method": "svd", "matrices": [{"tensor": "a"}, {"tensor": "a"}]}]`,
	} {
		f.Add([]byte(seed), 3, 4, 2)
	}
	f.Fuzz(func(t *testing.T, data []byte, rows, columns, rank int) {
		var p products
		if json.Unmarshal(data, &p) != nil || p.check() != nil || max(rows, columns, rank) > 1<<20 || min(rows, columns, rank) < 0 {
			return
		}
		for i := range p {
			one, err := p.shapes(i, func(name string) (safetensors.Info, bool) {
				shapes := map[string][]int{
					weights.FactorRows: {rows, rank}, weights.FactorColumns: {columns, rank}, weights.FactorSlices: {2, rank}, weights.FactorCore: {rank},
				}
				_, factor, _ := strings.Cut(strings.TrimPrefix(name, factorsScope), ".")
				shape, ok := shapes[factor]
				if i%2 == 1 && factor == weights.FactorCore {
					shape = []int{rank, rank, rank}
				}
				return safetensors.Info{Name: name, DType: "F32", Shape: shape}, ok
			})
			if err != nil {
				continue
			}
			if shape := one.Shape(); shape != [3]int{rows, columns, len(p[i].Matrices)} || one.Numbers() < rows*rank+columns*rank {
				t.Fatalf("%s: %v, %d numbers", data, shape, one.Numbers())
			}
			if rows > 100 || columns > 100 || rank > 20 {
				continue
			}
			for name, f := range one.Factors {
				f.Values = make([]float64, elements(f.Shape))
				one.Factors[name] = f
			}
			for k, m := range p[i].Matrices {
				if err := (weights.Slice{Product: one, Index: k, Transposed: m.Transposed}).Read(make([]float32, rows*columns)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
