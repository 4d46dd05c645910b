// SPDX-License-Identifier: Apache-2.0

// Package layers holds the parts of a Transformer encoder as GoMLX graph functions: dense maps, layer normalisation,
// activations, dropout, relative position bias, self-attention, the encoder stack.
//
// Every function here builds a graph and, as GoMLX's own do, panics on wrong shapes. Variables are made by
// [Param]: their first values are drawn on the host from (seed, variable path) alone, so equal seeds give equal
// weights on every backend, whatever the order of the code. An [Initializer] says from which distribution; each one's comment
// says who uses it, and how that is known.
//
// Each part also lists its weights without a graph ([Weight]): places, shapes, first values and roles, from which package
// metro makes the inventory of a model.
//
// A stack of layers is an [Encoder] of one [Block], which has the choices: layer normalisation before or after, the
// [FeedForward] map, dropout, recomputing instead of remembering. Each layer may have an attention bias of its own: padding
// ([PaddingBias]), relative positions as COCO-LM and METRO-T0 ([RelativePositionBias]) or as T5 counts them
// ([T5PositionBias]), or their sum. [FeedForward], [Embedder] and [AttentionBias] are places for parts from elsewhere; a
// mixture of experts is in the package layers/moe. The store's [ParamMatMulDType] sets the precision of matrix products, and of
// nothing else.
//
// Shapes are written B (rows), S (positions), H (width), N (heads), V (vocabulary).
package layers
