// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"math"

	"github.com/gomlx/gomlx/ml/model"
)

// reference computes an encoder layer with loops on plain slices, one row of positions of the test's width, from the variables
// of a store. It shares no code with the graphs.
type reference struct{ store *model.Store }

func (r reference) value(path string) []float64 { return flat(r.store.GetVariable(path).MustValue()) }

// dense is x·W + b.
func (r reference) dense(path string, x []float64, in int) []float64 {
	w, b := r.value(path+"/weights"), r.value(path+"/bias")
	out := make([]float64, len(x)/in*len(b))
	for i := range out {
		row, column := i/len(b), i%len(b)
		out[i] = b[column]
		for k := range in {
			out[i] += x[row*in+k] * w[k*len(b)+column]
		}
	}
	return out
}

// norm is a layer normalisation with epsilon 1e-6.
func (r reference) norm(path string, x []float64) []float64 {
	gain, offset, out := r.value(path+"/gain"), r.value(path+"/offset"), make([]float64, len(x))
	for row := 0; row < len(x); row += width {
		mean, variance := 0.0, 0.0
		for _, v := range x[row : row+width] {
			mean += v / width
		}
		for _, v := range x[row : row+width] {
			variance += (v - mean) * (v - mean) / width
		}
		for i := range width {
			out[row+i] = gain[i]*(x[row+i]-mean)/math.Sqrt(variance+1e-6) + offset[i]
		}
	}
	return out
}

// attention is softmax(QKᵀ/√d + bias)·V a head, then the output map; bias is [heads, s, s].
func (r reference) attention(path string, x, bias []float64) []float64 {
	const d = width / heads
	s := len(x) / width
	q, k, v := r.dense(path+"/query", x, width), r.dense(path+"/key", x, width), r.dense(path+"/value", x, width)
	mixed := make([]float64, s*width)
	for head := range heads {
		for i := range s {
			weights, sum := make([]float64, s), 0.0
			for j := range s {
				dot := 0.0
				for c := range d {
					dot += q[i*width+head*d+c] * k[j*width+head*d+c]
				}
				weights[j] = math.Exp(dot/math.Sqrt(d) + bias[(head*s+i)*s+j])
				sum += weights[j]
			}
			for j := range s {
				for c := range d {
					mixed[i*width+head*d+c] += weights[j] / sum * v[j*width+head*d+c]
				}
			}
		}
	}
	return r.dense(path+"/output", mixed, width)
}

// feedForward is W₂·max(W₁·x, 0).
func (r reference) feedForward(path string, x []float64) []float64 {
	inner := r.dense(path+"/ffn_in", x, width)
	for i, v := range inner {
		inner[i] = max(v, 0)
	}
	return r.dense(path+"/ffn_out", inner, len(inner)/(len(x)/width))
}

func plus(a, b []float64) []float64 {
	sum := make([]float64, len(a))
	for i := range a {
		sum[i] = a[i] + b[i]
	}
	return sum
}
