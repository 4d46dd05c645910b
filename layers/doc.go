// SPDX-License-Identifier: Apache-2.0

// Package layers holds the parts of a Transformer encoder as GoMLX graph functions: dense maps, layer normalisation,
// activations, dropout, relative position bias, self-attention, the encoder stack.
//
// Every function here builds a graph and, as GoMLX's own do, panics on wrong shapes. Variables are made by
// [Param]: their first values are drawn on the host from (seed, variable path) alone, so equal seeds give equal
// weights on every backend, whatever the order of the code.
//
// Shapes are written B (rows), S (positions), H (width), N (heads), V (vocabulary).
package layers
