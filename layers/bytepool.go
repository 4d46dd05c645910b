// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Spelling is what the tokens of a vocabulary are written with.
type Spelling struct {
	Bytes [][]byte // of each token; empty for a row that no token has
	Free  []int32  // the tokens that stand for nothing written, such as [MASK]: each has a vector of its own. They may repeat
}

// BytePool is an embedder whose weights know bytes and no tokens: a token's vector is what a small encoder makes of its first
// bytes, one mean over them. So its size does not grow with the vocabulary, and tokens of equal bytes have equal vectors.
//
// The encoder is that of Super Tiny Language Models' published code (models/experimental/byte_level, MIT): vectors of bytes and of
// their places, of width b, then [BytePoolBlocks] blocks, each
//
//	x = x + attention(RMSNorm(x))
//	x = W₂·GELU(W₁·RMSNorm(x))
//
// without biases and, in the second line, without a residual, of widths b → 2b → 2b → 2b → E, inside 4b, 8b, 8b, 8b, with
// [BytePoolHeads] heads; then the mean over the places. There b is 128. The dropout of 0.5 that its attention has where nothing sets
// another is left out.
//
// The vectors of all V tokens are computed at once and then looked up, so that what it costs depends on V and not on the
// batch. The last map, which is linear, is taken of the mean: the same function, with a part of the products.
type BytePool struct {
	Vocab, Width int         // V, E
	Bytes        int         // n, that are read of a token; those behind are cut off
	ByteWidth    int         // b, a multiple of [BytePoolHeads]
	All          bool        // as published, places without a byte hold a sign that attention reads and that the mean counts; else they are left out
	Free         int         // tokens that have vectors of their own, at most
	Init         Initializer // of tables and maps
	Spelling     Spelling    // of the V tokens; [BytePool.Weights] does without
}

const (
	// BytePoolBlocks is the number of blocks of a [BytePool].
	BytePoolBlocks = 4
	// BytePoolHeads is the number of heads of their attention.
	BytePoolHeads = 8
	// BytePoolPart is what [Weight.Part] of their weights begins with, before the block's number.
	BytePoolPart = "byte_block_"

	byteValues = 258 // rows of the table: 256 bytes, one for a place without a byte, and one for the end of a text, which nothing here writes
	noByte     = 256

	rmsEpsilon = 1e-6
)

// Weights implements [Embedder]: 258·b + n·b for bytes and places, the blocks, 37,088 + 128·E of them at b = 16 and
// 2,361,088 + 1024·E at b = 128, and the free tokens' vectors.
func (e BytePool) Weights() []Weight {
	b := e.ByteWidth
	weights := []Weight{
		{Part: "byte_embedding", Shape: []int{byteValues, b}, Init: e.Init, Role: RoleTable},
		{Part: "byte_position_embedding", Shape: []int{e.Bytes, b}, Init: e.Init, Role: RoleTable},
		{Part: "free_embedding", Shape: []int{e.Free, e.Width}, Init: e.Init, Role: RoleTable},
	}
	for i := range BytePoolBlocks {
		weights = append(weights, e.block(i)...)
	}
	return weights
}

// The places of a block's weights among those of the block.
const (
	poolAttentionNorm = iota
	poolQuery
	poolKey
	poolValue
	poolOutput
	poolInnerNorm
	poolIn
	poolOut
	poolWeights // how many there are
)

func (e BytePool) block(i int) []Weight {
	in, inner, out := 2*e.ByteWidth, 8*e.ByteWidth, 2*e.ByteWidth
	if i == 0 {
		in, inner = e.ByteWidth, 4*e.ByteWidth
	}
	if i == BytePoolBlocks-1 {
		out = e.Width
	}
	norm := func(part string) Weight {
		return Weight{Part: part, Kind: "gain", Shape: []int{in}, Init: InitOnes, Role: RoleNorm}
	}
	matrix := func(part string, rows, columns int) Weight {
		return Weight{Part: part, Kind: "weights", Shape: []int{rows, columns}, Init: e.Init, Role: RoleDense}
	}
	return Within(fmt.Sprint(BytePoolPart, i),
		norm("attention_norm"), matrix("query", in, in), matrix("key", in, in), matrix("value", in, in), matrix("output", in, in),
		norm("ffn_norm"), matrix("ffn_in", in, inner), matrix("ffn_out", inner, out))
}

// Operations counts those of the matrix products that make the vectors, a multiplication and an addition as two.
func (e BytePool) Operations() (sum float64) {
	v, n := float64(e.Vocab), float64(e.Bytes)
	for i := range BytePoolBlocks {
		for k, w := range e.block(i) {
			positions := v * n
			switch {
			case w.Role != RoleDense:
				continue
			case k == poolOut && i == BytePoolBlocks-1:
				positions = v
			case k == poolQuery: // scores, and what they mix
				sum += 4 * v * n * n * float64(w.Shape[0])
			}
			sum += 2 * positions * float64(w.Shape[0]*w.Shape[1])
		}
	}
	return sum
}

// Embed implements [Embedder].
func (e BytePool) Embed(scope *model.Scope, weights []*Node, ids *Node) *Node {
	return Embed(scope, e.Output(scope, weights), ids)
}

// Output implements [Embedder]: the vectors of all tokens, [V, E]. A row that no token has is 0, but with All what the published
// code makes of no bytes. It panics if the spelling is not that of V tokens, or has more free ones than there are vectors for.
func (e BytePool) Output(scope *model.Scope, weights []*Node) *Node {
	if len(e.Spelling.Bytes) != e.Vocab {
		exceptions.Panicf("layers: byte-pooled vectors of %d tokens need the bytes of each, and there are those of %d", e.Vocab, len(e.Spelling.Bytes))
	}
	if e.ByteWidth%BytePoolHeads != 0 {
		exceptions.Panicf("layers: the width of bytes must be a multiple of %d heads, it is %d", BytePoolHeads, e.ByteWidth)
	}
	ids, there, free := e.constants(weights[0])
	x := Add(Embed(scope, weights[0], ids), InsertAxes(weights[1], 0)) // [V, n, b]
	var bias, mean *Node
	if e.All {
		mean = MulScalar(OnesLike(there), 1/float64(e.Bytes))
	} else {
		bias = PaddingBias(GreaterThan(there, ZerosLike(there)), x)
		count := ReduceAndKeep(there, ReduceSum, -1)
		mean = Div(there, Max(count, OnesLike(count))) // [V, n]
	}
	for i := range BytePoolBlocks {
		w := weights[3+i*poolWeights:][:poolWeights]
		x = Add(x, e.attention(scope, rmsNorm(x, w[poolAttentionNorm]), w, bias))
		x = GELU(Product(scope, "vni,ij->vnj", rmsNorm(x, w[poolInnerNorm]), w[poolIn]))
		if i == BytePoolBlocks-1 {
			x = ReduceSum(Mul(x, InsertAxes(mean, -1)), 1)
			x = Product(scope, "vj,je->ve", x, w[poolOut])
		} else {
			x = Product(scope, "vnj,jo->vno", x, w[poolOut])
		}
	}
	own := Embed(scope, weights[2], Max(free, ZerosLike(free)))
	return Where(BroadcastToShape(InsertAxes(GreaterOrEqual(free, ZerosLike(free)), -1), boolean(x)), own, x)
}

// constants are what a graph holds of the spelling: the ids of bytes, [V, n] int32; 1 where there is one, [V, n]; and the
// row of each token among the free ones, [V] int32, −1 for none.
func (e BytePool) constants(like *Node) (ids, there, free *Node) {
	bytes, real, rows := make([][]int32, e.Vocab), make([][]float32, e.Vocab), slices.Repeat([]int32{-1}, e.Vocab)
	for id, spelled := range e.Spelling.Bytes {
		bytes[id], real[id] = slices.Repeat([]int32{noByte}, e.Bytes), make([]float32, e.Bytes)
		for k, b := range spelled[:min(len(spelled), e.Bytes)] {
			bytes[id][k], real[id][k] = int32(b), 1
		}
	}
	n := int32(0)
	for _, id := range e.Spelling.Free {
		if rows[id] < 0 {
			rows[id], n = n, n+1
		}
	}
	if int(n) > e.Free {
		exceptions.Panicf("layers: %d tokens are to have vectors of their own, and there are %d such vectors", n, e.Free)
	}
	g := like.Graph()
	return Const(g, bytes), ConvertDType(Const(g, real), like.DType()), Const(g, rows)
}

// attention is that of a block on x, [V, n, H]: every byte reads every other of its token.
func (e BytePool) attention(scope *model.Scope, x *Node, w []*Node, bias *Node) *Node {
	v, n, h := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	project := func(matrix int) *Node {
		return Reshape(Product(scope, "vni,ij->vnj", x, w[matrix]), v, n, BytePoolHeads, h/BytePoolHeads)
	}
	logits := Product(scope, "vqad,vkad->vaqk", project(poolQuery), project(poolKey))
	logits = MulScalar(logits, 1/math.Sqrt(float64(h/BytePoolHeads)))
	if bias != nil {
		logits = Add(logits, bias)
	}
	mixed := Product(scope, "vaqk,vkad->vqad", softmax(logits), project(poolValue))
	return Product(scope, "vni,ij->vnj", Reshape(mixed, v, n, h), w[poolOutput])
}

// rmsNorm divides the last axis of x by its root mean square, then applies a gain. Zhang & Sennrich, 2019.
func rmsNorm(x, gain *Node) *Node {
	square := ReduceAndKeep(Square(x), ReduceMean, -1)
	return Mul(Mul(x, Reciprocal(Sqrt(AddScalar(square, rmsEpsilon)))), alignLast(gain, x.Rank()))
}

// boolean is the shape of x with truth values.
func boolean(x *Node) shapes.Shape { return shapes.Make(dtypes.Bool, x.Shape().Dimensions...) }
