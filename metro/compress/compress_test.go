// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"metrolab/metro"
	"metrolab/metro/recipes"
	"metrolab/metro/weights"
)

// memory is a source of random weights.
type memory struct {
	model  metro.Model
	values map[string][]float32
	list   []weights.Tensor
}

func (m *memory) String() string            { return "memory" }
func (m *memory) Model() metro.Model        { return m.model }
func (m *memory) Tensors() []weights.Tensor { return m.list }
func (m *memory) Close() error              { return nil }
func (m *memory) Read(name string, dst []float32) error {
	if len(m.values[name]) != len(dst) {
		return fmt.Errorf("no tensor %s of %d", name, len(dst))
	}
	copy(dst, m.values[name])
	return nil
}

func random() *memory {
	c := recipes.Micro()
	c.Main.Layers, c.Main.Width, c.Main.Heads, c.Main.FFN = 3, 8, 2, 12
	return randomOf(c)
}

func randomOf(c metro.Config) *memory {
	m := &memory{metro.Model{Config: c, Vocab: 23}, map[string][]float32{}, nil}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, w := range metro.Describe(c, 23) {
		values := make([]float32, w.Size())
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		m.values[w.Tensor()] = values
		m.list = append(m.list, weights.Tensor{Name: w.Tensor(), Shape: w.Shape})
	}
	return m
}

// changed compresses, and returns which tensors are no more what they were, with the largest difference.
func changed(t *testing.T, src weights.Source, o Options) (map[string]float64, []Part) {
	t.Helper()
	out, parts, err := Compress(context.Background(), src, o, nil)
	require.NoError(t, err)
	require.Equal(t, src.Tensors(), out.Tensors())
	differences := map[string]float64{}
	for _, tensor := range src.Tensors() {
		a, b := make([]float32, tensor.Size()), make([]float32, tensor.Size())
		require.NoError(t, src.Read(tensor.Name, a))
		require.NoError(t, out.Read(tensor.Name, b))
		for i := range a {
			if a[i] != b[i] {
				differences[tensor.Name] = max(differences[tensor.Name], float64(max(a[i]-b[i], b[i]-a[i])))
			}
		}
	}
	return differences, parts
}

// Only what is chosen changes; all else is there to the bit.
func TestOnlyWhatIsChosenChanges(t *testing.T) {
	src := random()
	for _, method := range Methods {
		found, parts := changed(t, src, Options{Method: method, Target: TargetFeedForward, Layers: "last", Rank: 2})
		require.Len(t, found, 2, method)
		require.Contains(t, found, "main.layer_2.ffn_in.weights")
		require.Contains(t, found, "main.layer_2.ffn_out.weights")
		require.Len(t, parts, 1)
		require.Equal(t, [3]int{8, 12, 2}, parts[0].Shape)
		require.Greater(t, parts[0].Error, 0.1)
	}
	found, parts := changed(t, src, Options{Method: MethodCP, Target: TargetAttention, Layers: "0-1", Across: true, Rank: 3})
	require.Len(t, found, 8)
	require.Equal(t, [3]int{8, 8, 8}, parts[0].Shape)
	require.Equal(t, 3*(8+8+8)+3, parts[0].After)
	found, parts = changed(t, src, Options{Method: MethodSVD, Target: TargetEmbeddings, Rank: 2})
	require.Len(t, found, 1)
	require.Equal(t, 2*(23+8), parts[0].After)
}

// Full rank is what was there.
func TestFullRankIsTheIdentity(t *testing.T) {
	src := random()
	for _, method := range []string{MethodTucker, MethodSVD} {
		for _, target := range Targets {
			for _, normalise := range []bool{false, true} {
				if normalise && (method == MethodSVD || target == TargetEmbeddings) {
					continue
				}
				_, parts := changed(t, src, Options{Method: method, Target: target, Rank: 8, Normalise: normalise})
				for _, p := range parts {
					if target != TargetFeedForward || method == MethodSVD { // where 8 is less than the inner width, 12, of a stack
						require.Less(t, p.Error, 1e-12, "%s of %s", method, target)
					}
				}
			}
		}
	}
}

// Noise is as large as what cp leaves out, and svd's error that of the singular values that it leaves out.
func TestErrorsOfTheControls(t *testing.T) {
	src := random()
	o := Options{Method: MethodCP, Target: TargetFeedForward, Layers: "1", Rank: 4}
	_, cp := changed(t, src, o)
	o.Method = MethodNoise
	_, noise := changed(t, src, o)
	require.InEpsilon(t, cp[0].Error, noise[0].Error, 1e-9)
	o.Method = MethodTucker
	_, tucker := changed(t, src, o)
	require.Less(t, tucker[0].Error, cp[0].Error, "a core is more than a diagonal")

	w := metro.Describe(src.model.Config, 23).ByPath()["/main/layer_1/ffn_in/weights"]
	one, err := stack{{weight: w}}.read(src)
	require.NoError(t, err)
	var svd mat.SVD
	require.True(t, svd.Factorize(mat.NewDense(8, 12, one.Data), mat.SVDNone))
	left := 0.0
	for _, s := range svd.Values(nil)[3:] {
		left += s * s
	}
	var product mat.Dense
	factors := truncated(one, 3).Factors
	product.Mul(mat.NewDense(8, 3, factors[weights.FactorRows].Values), mat.NewDense(12, 3, factors[weights.FactorColumns].Values).T())
	low := NewTensor(8, 12, 1)
	copy(low.Data, product.RawMatrix().Data)
	require.InDelta(t, left, square(one.Error(low)*one.Norm()), 1e-9)
}

// As many numbers as are said are those of the factors, and what is stored is what is read.
func TestFactors(t *testing.T) {
	src := random()
	for _, o := range []Options{
		{Method: MethodCP, Target: TargetFeedForward, Rank: 3}, {Method: MethodCP, Target: TargetAttention, Rank: 8, Across: true, Normalise: true},
		{Method: MethodTucker, Target: TargetFeedForward, Rank: 3, Across: true}, {Method: MethodTucker, Target: TargetEmbeddings, Rank: 2},
		{Method: MethodSVD, Target: TargetAttention, Layers: "last", Rank: 3},
	} {
		o.Factors = true
		out, parts, err := Compress(context.Background(), src, o, nil)
		require.NoError(t, err)
		stored, err := weights.StoredAs(out)
		require.NoError(t, err)
		before, after := Numbers(parts)
		require.Equal(t, []int{before, after}, []int{stored.Numbers, stored.Factors})
		for _, p := range parts {
			for _, name := range p.Tensors {
				slice, ok, err := weights.SliceOf(out, name)
				require.NoError(t, err)
				require.True(t, ok)
				require.NoError(t, slice.Check())
				want, got := make([]float32, len(src.values[name])), make([]float32, len(src.values[name]))
				require.NoError(t, out.Read(name, want))
				require.NoError(t, slice.Read(got))
				require.Equal(t, want, got)
			}
		}
	}
	gdes := src.model.Config
	gdes.Sharing = metro.SharingGDES
	_, _, err := Compress(context.Background(), randomOf(gdes), Options{Method: MethodSVD, Target: TargetEmbeddings, Rank: 2, Factors: true}, nil)
	require.ErrorContains(t, err, "under sharing=gdes the main model's token table is a sum")
}

// A random start is a function of its seed; others end elsewhere, and hosvd's end is no worse than the worst of them.
func TestRandomStarts(t *testing.T) {
	src := random()
	o := Options{Method: MethodCP, Target: TargetAttention, Layers: "0", Rank: 3}
	_, parts := changed(t, src, o)
	hosvd, worst := parts[0].Error, 0.0
	o.Start = StartRandom
	found := map[float64]bool{}
	for seed := range int64(4) {
		o.Seed = seed
		_, parts := changed(t, src, o)
		_, again := changed(t, src, o)
		require.Equal(t, parts, again)
		found[parts[0].Error] = true
		worst = max(worst, parts[0].Error)
	}
	require.Greater(t, len(found), 1)
	require.LessOrEqual(t, hosvd, worst)
}

func square(x float64) float64 { return x * x }

func TestRefusals(t *testing.T) {
	for message, o := range map[string]Options{
		"the method is one of":                 {Method: "lu", Target: TargetAttention, Rank: 1},
		"the target is one of":                 {Method: MethodCP, Target: "heads", Rank: 1},
		"at least 1":                           {Method: MethodCP, Target: TargetAttention},
		"take 8 or less":                       {Method: MethodTucker, Target: TargetAttention, Rank: 9},
		"of the 3 that there are; not \"3\"":   {Method: MethodCP, Target: TargetAttention, Layers: "3", Rank: 1},
		"of the 3 that there are; not \"1-0\"": {Method: MethodCP, Target: TargetAttention, Layers: "1-0", Rank: 1},
		"of the 3 that there are; not \"top\"": {Method: MethodCP, Target: TargetAttention, Layers: "top", Rank: 1},
		"leave across out":                     {Method: MethodSVD, Target: TargetAttention, Across: true, Rank: 1},
		"leave normalise out":                  {Method: MethodCP, Target: TargetEmbeddings, Normalise: true, Rank: 1},
		"svd draws nothing; leave the seed":    {Method: MethodSVD, Target: TargetAttention, Rank: 1, Seed: 3},
		"cp from hosvd draws nothing":          {Method: MethodCP, Target: TargetAttention, Rank: 1, Seed: 3},
		"the start is one of":                  {Method: MethodCP, Target: TargetAttention, Rank: 1, Start: "warm"},
		"tucker begins in one way":             {Method: MethodTucker, Target: TargetAttention, Rank: 1, Start: StartHOSVD},
		"is one, which across cannot stack":    {Method: MethodCP, Target: TargetAttention, Layers: "last", Across: true, Rank: 1},
		"the embeddings are in no layer":       {Method: MethodCP, Target: TargetEmbeddings, Layers: "last", Rank: 1},
		"noise has no factors":                 {Method: MethodNoise, Target: TargetAttention, Rank: 1, Factors: true},
		"factors of rank 8 are 400 numbers, no fewer than the 256 of the 8 × 8 × 4 stack of main.layer_0.attention.query.weights; take a rank of 5": {Method: MethodTucker, Target: TargetAttention, Rank: 8, Factors: true},
		"factors of rank 8 are 512 numbers, no fewer than the 256 of the 8 × 8 × 4 stack of main.layer_0.attention.query.weights; take a rank of 3": {Method: MethodSVD, Target: TargetAttention, Rank: 8, Factors: true},
	} {
		_, _, err := Compress(context.Background(), random(), o, nil)
		require.ErrorContains(t, err, message)
	}
	shared := random().model.Config
	shared.Main.LayerSharing, shared.Embeddings.Kind = metro.LayerSharingFeedForward, metro.EmbedderBytes
	for message, o := range map[string]Options{
		"embeddings.kind=bytes has no token table; the targets are feed_forward and attention":                               {Method: MethodCP, Target: TargetEmbeddings, Rank: 1},
		"main.layer_sharing=feed_forward has one feed_forward for all layers, which counts as that of layer 0; name layer 0": {Method: MethodCP, Target: TargetFeedForward, Rank: 1},
	} {
		_, _, err := Compress(context.Background(), randomOf(shared), o, nil)
		require.ErrorContains(t, err, message)
	}
	values, _ := changed(t, randomOf(shared), Options{Method: MethodSVD, Target: TargetFeedForward, Layers: "0", Rank: 1})
	require.Len(t, values, 2)
}
