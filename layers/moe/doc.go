// SPDX-License-Identifier: Apache-2.0

// Package moe is a mixture of experts in the feed-forward slot of an encoder layer: E maps of one shape, of which a gate chooses
// one or two for each token, so that a model has E times the weights and each token still passes one or two maps.
//
// A [FeedForward] is a [layers.FeedForward]. Its gate is linear and computed in float32; a [Router] says how many experts a token
// chooses, how many tokens an expert has room for, and who goes without when more come. [Route] is the routing alone, a function
// of the gate's logits: two tensors of static shape [G, T, E, C] that carry T tokens to C slots of each of E experts and back, as
// products of matrices, as in GShard (Lepikhin et al., 2020), Switch (Fedus et al., 2021) and DeepSpeed-MoE, which Z-code M3
// used (Kim et al., 2021). A token that found no slot leaves the layer as zero, so that a residual around the layer leaves it as
// it was.
//
// Two losses keep the gate in order and are returned as scalars with what there is to watch, see [Routing]. All gradients that
// reach the gate come through its probabilities; which experts were chosen, and who was dropped, has none.
//
// The work of these products grows with the tokens that compete for the same slots, squared. Rows can be routed in groups, each
// with slots of its own: for 64 rows of 32 tokens, width 64 and four experts, forward and backward, XLA took 18 times as long as
// for the dense map with one group for the whole batch, and less than twice as long with one for each row, on two busy cores.
//
// Shapes are written as in package layers, and G (groups of rows), T (tokens of a group), E (experts), C (slots of an expert for a
// group), F (width inside an expert).
package moe
