// SPDX-License-Identifier: Apache-2.0

// Package masking chooses which tokens of a row are masked: the patterns in which masked positions lie.
//
// A pattern is a function, a [Func]: it is given a row, the positions in it that may be masked, and as many places as
// are to be filled, and draws positions into them. [Independent] draws single positions, [WithReplacement] lets one come
// up twice, [WholeWord] draws words and [Span] runs of tokens. How many positions a row has to spare for masking, and
// what is seen at them, is not a pattern's business; see the package data.
//
// Every draw comes from the generator of random numbers that is passed in, and nothing else of a pattern is random: the
// same generator and the same row give the same positions. Patterns keep no state and may run in several goroutines at
// once, each with a generator of its own.
package masking
