// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
)

// spelled is a small vocabulary: two tokens of equal bytes, one that is longer than 12 bytes and one of its first 12, a row that no
// token has, and two free ones.
var spelled = layers.Spelling{
	Bytes: [][]byte{nil, []byte(" the"), []byte("ing"), []byte(" the"), []byte(" tokenisation"), []byte(" tokenisatio"), nil, []byte("é"), nil},
	Free:  []int32{0, 8, 0},
}

// pool is a byte-pooled embedder of spelled.
func pool(change func(*layers.BytePool)) layers.BytePool {
	e := layers.BytePool{
		Vocab: len(spelled.Bytes), Width: 6, Bytes: 12, ByteWidth: 8, Free: 5, Init: layers.InitNormal(0.5), Spelling: spelled,
	}
	if change != nil {
		change(&e)
	}
	return e
}

// nodes puts an embedder's weights into a graph.
func nodes(scope *model.Scope, g GraphProvider, e layers.Embedder) (list []*Node) {
	for _, w := range e.Weights() {
		list = append(list, w.Node(scope, g))
	}
	return list
}

// vectorsOf are those of all tokens, a row each.
func vectorsOf(t *testing.T, be compute.Backend, store *model.Store, e layers.BytePool) [][]float64 {
	t.Helper()
	out := run(t, be, store, func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{e.Output(scope, nodes(scope, in[0], e))}
	}, 0.0)
	values, rows := flat(out[0]), make([][]float64, e.Vocab)
	for i := range rows {
		rows[i] = values[i*e.Width : (i+1)*e.Width]
	}
	return rows
}

// The numbers of weights follow the formulas, at an eighth of the published width and at it; free tokens have 5·E on top.
func TestBytePoolWeights(t *testing.T) {
	count := func(byteWidth, width int) (n int) {
		e := layers.BytePool{Vocab: 1 << 20, Width: width, Bytes: 12, ByteWidth: byteWidth, Free: 5}
		for _, w := range e.Weights() {
			size := 1
			for _, d := range w.Shape {
				size *= d
			}
			n += size
		}
		return n - 5*width
	}
	for width, want := range map[int]int{64: 49_600, 128: 57_792, 384: 90_560} {
		require.Equal(t, want, count(16, width))
		require.Equal(t, 258*16+12*16+37_088+128*width, want)
	}
	for width, want := range map[int]int{64: 2_461_184, 128: 2_526_720, 384: 2_788_864, 768: 3_182_080} {
		require.Equal(t, want, count(128, width))
		require.Equal(t, 258*128+12*128+2_361_088+1024*width, want)
	}
}

// Equal bytes are equal vectors, also where tokens differ behind the bytes that are read; others differ; a free token has its own
// vector, and a row that no token has is zero.
func TestEqualBytesAreEqualVectors(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, all := range []bool{false, true} {
			store := float64Store()
			rows := vectorsOf(t, be, store, pool(func(e *layers.BytePool) { e.All = all }))
			require.Equal(t, rows[1], rows[3])
			require.Equal(t, rows[4], rows[5])
			free := flat(store.GetVariable("/free_embedding").MustValue())
			require.Equal(t, free[:6], rows[0])
			require.Equal(t, free[6:12], rows[8])
			require.Equal(t, !all, slices.Max(rows[6]) == 0 && slices.Min(rows[6]) == 0)
			for i, a := range []int{0, 1, 2, 4, 7, 8} {
				for _, b := range []int{0, 1, 2, 4, 7, 8}[:i] {
					require.NotEqual(t, rows[a], rows[b], "%d %d", a, b)
				}
			}
			longer := vectorsOf(t, be, float64Store(), pool(func(e *layers.BytePool) { e.All, e.Bytes = all, 13 }))
			require.NotEqual(t, longer[4], longer[5])
		}
	})
}

// Places without a byte change nothing where they are left out: a token has the same vector however many there are. Where all are
// read and counted, as published, it has another.
func TestAppendedPadsChangeNothing(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, all := range []bool{false, true} {
			at := func(bytes int) [][]float64 {
				store := float64Store()
				set(t, store, "/byte_position_embedding", firstRows(20, bytes, 8))
				return vectorsOf(t, be, store, pool(func(e *layers.BytePool) { e.All, e.Bytes = all, bytes }))
			}
			short, long := at(12), at(20)
			for _, id := range []int{1, 2, 3, 5, 7} {
				if all {
					require.Greater(t, largestGap(short[id], long[id]), 1e-3)
				} else {
					require.LessOrEqual(t, largestGap(short[id], long[id]), 1e-14)
				}
			}
		}
	})
}

// firstRows are the first n of the rows of a table that does not depend on n.
func firstRows(rows, n, width int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(flat(normal(7, rows, width))[:n*width], n, width)
}

func largestGap(a, b []float64) (gap float64) {
	for i := range a {
		gap = max(gap, math.Abs(a[i]-b[i]))
	}
	return gap
}

// The order of the vocabulary is that of the rows, and nothing else.
func TestPermutingTheVocabularyPermutesRows(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		order := rand.New(rand.NewPCG(3, 0)).Perm(len(spelled.Bytes))
		permuted := layers.Spelling{Bytes: make([][]byte, len(order)), Free: slices.Clone(spelled.Free)}
		for to, from := range order {
			permuted.Bytes[to] = spelled.Bytes[from]
			for i, id := range spelled.Free {
				if int(id) == from {
					permuted.Free[i] = int32(to)
				}
			}
		}
		rows := vectorsOf(t, be, float64Store(), pool(nil))
		moved := vectorsOf(t, be, float64Store(), pool(func(e *layers.BytePool) { e.Spelling = permuted }))
		for to, from := range order {
			require.Equal(t, rows[from], moved[to])
		}
	})
}

// Every weight takes part, and its gradient is that of finite differences in float64, along directions that are drawn.
func TestBytePoolGradients(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		for _, all := range []bool{false, true} {
			e := pool(func(e *layers.BytePool) { e.All = all })
			store := float64Store()
			exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
				w := nodes(scope, in[0], e)
				rows := e.Embed(scope, w, Const(in[0].Graph(), []int32{1, 4, 0, 2, 7}))
				logits := layers.Product(scope, "se,ve->sv", in[0], e.Output(scope, w))
				loss := ReduceAllSum(Add(ReduceAllSum(Sin(rows)), ReduceAllSum(Sin(logits))))
				return append([]*Node{loss}, Gradient(loss, w...)...)
			})
			defer exec.Finalize()
			x := normal(21, 3, e.Width)
			analytic := exec.MustCall(x)
			for i, w := range e.Weights() {
				v := store.GetVariable(model.JoinPath("/", w.Part, w.Kind))
				at, gradient, direction := flat(v.MustValue()), flat(analytic[1+i]), flat(normal(uint64(i), w.Shape...))
				along, size := 0.0, 0.0
				for k, d := range direction {
					along += d * gradient[k]
					size += d * d
				}
				step := 1e-5 / math.Sqrt(size)
				loss := func(by float64) float64 {
					moved := slices.Clone(at)
					for k, d := range direction {
						moved[k] += by * d
					}
					require.NoError(t, v.SetValue(tensors.FromFlatDataAndDimensions(moved, w.Shape...)))
					return exec.MustCall(x)[0].Value().(float64)
				}
				require.InDelta(t, along, (loss(step)-loss(-step))/(2*step), 1e-6*(1+math.Abs(along)), w.Part)
				require.NotZero(t, along, w.Part)
				loss(0)
			}
		}
	})
}

// It is the user's program that is told what is missing.
func TestBytePoolPanics(t *testing.T) {
	for message, change := range map[string]func(*layers.BytePool){
		"byte-pooled vectors of 10 tokens need the bytes of each, and there are those of 9": func(e *layers.BytePool) { e.Vocab = 10 },
		"the width of bytes must be a multiple of 8 heads, it is 12":                        func(e *layers.BytePool) { e.ByteWidth = 12 },
		"2 tokens are to have vectors of their own, and there are 1 such vectors":           func(e *layers.BytePool) { e.Free = 1 },
	} {
		e := pool(change)
		require.PanicsWithError(t, "layers: "+message, func() {
			build(t, float64Store(), func(scope *model.Scope, x *Node) { e.Output(scope, nodes(scope, x, e)) }, 1)
		})
	}
}
