// SPDX-License-Identifier: Apache-2.0

// Package recipes holds the named configurations, each in a file of its own whose header says where the numbers come
// from and how sure that is, what the model weighs, what a run costs, and the command. [Recipe.About] returns the
// header, so that the command line shows the same words.
//
// micro, tiny and mini are ours, for tests and for small machines. The others are the published models of the family
// ELECTRA → COCO-LM → METRO as far as they are known, at their published sizes: for planning, for large machines, and to
// be cut down with assignments. [Shapes] are sizes of METRO-LM of which too little is known to train them.
//
// Three kinds of certainty are told apart. "Read" is what published code says, "reported" what abstracts, reviews and
// notes of readers say, and "memory" what is remembered and was not checked. What no source gives is under "ours".
package recipes
