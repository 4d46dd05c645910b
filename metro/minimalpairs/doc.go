// SPDX-License-Identifier: Apache-2.0

// Package minimalpairs asks language models about minimal pairs: two sentences that differ as little as may be, of which one
// is acceptable. A scorer gives each sentence a number, and is right about a pair where the acceptable one has the higher.
// BLiMP (Warstadt et al. 2020) is 67 paradigms of a thousand such pairs; any file of pairs is read.
//
//	Read → Set;  Open → Model → Scorer, or CountText → anchors;  Compare → Outcomes;  Aggregate → Group, …
//
// A model is asked through the heads that it has, each a [Scorer] by name. [Detector] is one pass of replaced token detection,
// Σ log p(original). What ends in -masked, and [Generator], is pseudo-log-likelihood (Salazar et al. 2020): each token is masked
// once and scored there, a row a token. The others score every token of the sentence as it stands, in one pass.
//
// Beside each score stand anchors that know nothing of grammar: the sentence's length, and unigrams and trigrams of the text
// that the model was trained on. Ties decide what they score: in many paradigms both sentences have the same words, and who
// counts a tie as right, as BLiMP's own rule does, gives a count of words 69.6 % where it is right about little more than
// half. So every accuracy is given thrice, ties counted as right, half and wrong.
package minimalpairs
