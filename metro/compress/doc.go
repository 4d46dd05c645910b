// SPDX-License-Identifier: Apache-2.0

// Package compress makes chosen matrices of a trained model of low rank, to see what of the model stays: TRAWL's question, whether
// matrices that belong together, stacked into a tensor, have a common structure that is worth more than each by itself.
//
// [Compress] is a function of weights: it takes a [weights.Source] and returns one whose chosen matrices are approximated, whole
// again and in their shapes, so that it can be read, evaluated and exported like any, and as factors to those who ask for them
// ([weights.Factored]); and a [Part] for each stack, with the error and with how many numbers the factors are. Four methods answer for one another: [MethodCP] and [MethodTucker] of the stack,
// [MethodSVD] of each matrix by itself, without which nothing is known of what stacking does, and [MethodNoise], noise as large
// as what cp leaves out.
//
// The decompositions stand by themselves: [CP], by alternating least squares, and [Tucker], by HOSVD and HOOI, on a [Tensor] of three
// modes in float64. Linear algebra is gonum's.
//
// A [Study] does it in every way, by method, rank and scope, and asks a frozen set of corrupted rows what each is worth: on the one half
// of the rows ([Halves]) models choose, on the other it is reported, and [MaxT] says what the largest of many differences is worth.
//
// Stacks, targets and scopes are TRAWL's as notes on the paper (2406.17261) have them [notes]; dividing matrices by their norms is ours.
//
// A model with experts becomes smaller in another way: [Prune] leaves out those that are chosen least.
package compress
