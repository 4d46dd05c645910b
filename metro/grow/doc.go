// SPDX-License-Identifier: Apache-2.0

// Package grow makes a larger model of a trained one: wider, by copying what it knows of each coordinate, and deeper, by copying
// layers. Training then goes on from where the smaller model was, rather than from nothing.
//
// Growth is a function of weights: [Grow] takes a [weights.Source] and a config (see [Target]) and returns a source again, which can
// be exported, restored and grown further. [Inspect] runs both models on the same rows and says how far the function has stayed.
//
// # Width
//
// A coordinate of the residual stream, a head, an inner coordinate of a feed-forward map becomes several copies; whatever sums over
// copies is divided by their number (function-preserving initialisation: Net2Net, and bert2BERT for Transformers). Layer
// normalisation asks for more: mean and variance stay only if all coordinates are copied equally often. So the residual stream is
// tiled evenly, which an integer ratio of widths allows; at any other the function is kept only nearly, and [Inspect] says how
// nearly. Heads are copied whole, with their relative position bias. A head that is tied to the token table would sum over all
// copies of both; embeddings.output_scale takes that back.
//
// Copies of a coordinate have the same gradient, and so stay copies for ever in a model without dropout: a model of twice the width
// that can do no more than one of the old. [Options.Noise] tells them apart without a change of the function; this compensated
// noise is ours. [WidthAKI] tells them apart by taking the copies from the layer above, and gives the function up (bert2BERT).
//
// # Depth
//
// [DepthStack] and [DepthInterpolate] repeat layers. Neither keeps the function; [DepthZero] does under pre-LN, where a layer can add nothing.
//
// # Experts
//
// The dense feed-forward maps become mixtures of experts that are copies of them (sparse upcycling, as in AquilaMoE), with a gate that
// is drawn anew. Two choices, whose weights add up to 1, keep the function as long as every token finds a slot; so does a single one
// that counts whole. Tokens differ, and so, in time, do the experts that they choose.
//
// What is said of bert2BERT here is from notes on the paper (2110.07143), not from its text.
package grow
