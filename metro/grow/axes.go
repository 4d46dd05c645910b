// SPDX-License-Identifier: Apache-2.0

package grow

import (
	"fmt"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro"
)

// axis is what a dimension of a weight runs over.
type axis int

const (
	rows      axis = iota // tokens, positions, bins, classes: the same in both models
	embedding             // coordinates of the tables
	state                 // coordinates of the residual stream
	attention             // coordinates of all heads, head after head
	heads                 // heads
	inner                 // the feed-forward map's inner width
	hidden                // the inner width of a head that has a dense map of its own
)

// dimension is one of a weight.
type dimension struct {
	axis axis
	read bool // the map sums over it, so that what reads copies is divided by their number
}

// The dimensions of weights: of a matrix that maps from → to, and of a vector.
func maps(from, to axis) []dimension { return []dimension{{from, true}, {to, false}} }
func holds(axes ...axis) (d []dimension) {
	for _, a := range axes {
		d = append(d, dimension{a, false})
	}
	return d
}

// dimensionsOf says what the dimensions of w are. A weight of a part from elsewhere is the user's error.
func dimensionsOf(w metro.Weight) ([]dimension, error) {
	from, to, ok := ends(w.Place)
	switch {
	case !ok:
		return nil, usererr.New("%s belongs to a part that does not say how it grows; only the parts that ship with metro can be grown", w.Tensor())
	case w.Kind == "weights":
		return maps(from, to), nil
	case len(w.Shape) == 2: // tables
		return holds(rows, to), nil
	default:
		return holds(to), nil
	}
}

// ends are the axes that the part at a place reads and writes, the first of which is of no use where it is no dense map.
func ends(at metro.Place) (from, to axis, ok bool) {
	part := strings.TrimSuffix(at.Part, "_difference")
	switch at.Head {
	case "":
		switch part {
		case "byte_embedding", "byte_position_embedding":
			return rows, rows, true
		case "free_embedding", fmt.Sprint(layers.BytePoolPart, layers.BytePoolBlocks-1, "/ffn_out"): // of a byte-pooled embedder only what it leaves is wider
			return rows, embedding, true
		case "token_embedding", "position_embedding", "token_type_embedding", "embedding_norm":
			return rows, embedding, true
		case "embedding_projection":
			return embedding, state, true
		case "relative_position_table":
			return rows, heads, true
		case "attention/query", "attention/key", "attention/value":
			return state, attention, true
		case "attention/output":
			return attention, state, true
		case "ffn_in":
			return state, inner, true
		case "ffn_out":
			return inner, state, true
		case "attention_norm", "ffn_norm", "final_norm":
			return rows, state, true
		}
		return rows, rows, strings.HasPrefix(part, layers.BytePoolPart)
	case metro.HeadRTD:
		switch {
		case part == "transform":
			return state, hidden, true
		case part == "output":
			return hidden, rows, true // of a linear head, hidden is the states themselves, copied alike
		}
	case metro.HeadSCL:
		return state, hidden, part == "transform" || part == "norm"
	case metro.HeadGenerator, metro.HeadLM, metro.HeadCLM:
		switch part {
		case "transform", "projection":
			return state, embedding, true
		case "norm":
			return rows, embedding, true
		case "output_bias":
			return rows, rows, true
		}
	}
	return rows, rows, false
}

// copies says of every coordinate of a grown axis which coordinate of the old one it is a copy of.
type copies []int

// tiled repeats an axis of n coordinates until it has m: 0 … n−1, 0 … n−1, … Where n divides m, each is copied equally often, so
// that mean and variance over the axis stay, and with them layer normalisation.
func tiled(n, m int) copies {
	c := make(copies, m)
	for i := range c {
		c[i] = i % n
	}
	return c
}

// headwise is the axis of all heads' coordinates, size each, where the heads are copied as c says.
func (c copies) headwise(size int) copies {
	all := make(copies, 0, len(c)*size)
	for _, head := range c {
		for k := range size {
			all = append(all, head*size+k)
		}
	}
	return all
}

// counts returns how often each of n old coordinates is copied.
func (c copies) counts(n int) []int {
	counts := make([]int, n)
	for _, old := range c {
		counts[old]++
	}
	return counts
}

// axes are the copies of one of the two models, by axis, and the sizes that they had.
type axes struct {
	copies map[axis]copies
	old    map[axis]int
}

// axesOf tiles every axis of one of the models on its way from one config to another.
func axesOf(from, to metro.Encoder, embeddingFrom, embeddingTo int) (axes, error) {
	a := axes{map[axis]copies{}, map[axis]int{}}
	for _, x := range []struct {
		axis     axis
		old, new int
	}{
		{embedding, embeddingFrom, embeddingTo}, {state, from.Width, to.Width}, {heads, from.Heads, to.Heads},
		{inner, from.FFN, to.FFN}, {hidden, from.Width, to.Width},
	} {
		if x.new < x.old {
			return a, fmt.Errorf("%d coordinates do not grow to %d", x.old, x.new)
		}
		a.copies[x.axis], a.old[x.axis] = tiled(x.old, x.new), x.old
	}
	size := from.Width / from.Heads
	a.copies[attention], a.old[attention] = a.copies[heads].headwise(size), from.Width
	return a, nil
}
