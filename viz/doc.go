// SPDX-License-Identifier: Apache-2.0

// Package viz turns plain numbers into the figures that a researcher looks at.
//
// Every picture is a plain struct: fill in the numbers, then call its Figure, or show it in a notebook by
// metrolab/viz/notebook.
//
//   - [Curves] are runs over training with a band over seeds; [LossSpikes], [GradientNorms] and [TieCosine] are Curves
//     with the words of one question.
//   - [Forest] is paired differences to a baseline with their intervals and verdicts, [Bars] grouped bars with error bars,
//     [GeneratorSizes] an outcome against the generator's size, [Shares] against the share of the weights that learn.
//   - [KaplanMeier] is how soon runs reach a target, with those that never do.
//   - [Heatmap] is matrices as colors: [BiasMap], [AttentionMap]; [BiasProfile] is the bias of each head as a line.
//   - [ROC] and [Calibration] are what a detector's probabilities are worth.
//   - [Correction] is a text with what the model doubts and would write instead.
//   - [Bench] times functions and draws the quantiles.
//
// A [Figure] is a PNG with its caption; equal input gives equal bytes. [Interactive] adds a form to zoom into.
//
// What cannot be drawn is an error of one line that says what to change; nothing panics.
//
// Beside it stand the packages table (tables as text, Markdown, HTML and CSV, which link no fonts), report (a study as one
// HTML file that opens without a network) and notebook (figures and tables below a cell). None of them knows of training.
//
// Lines, bands, points, intervals and grids are those of gonum/plot. Drawn here is what it does not do as well: names at
// the ends of curves, hatched bars, matrices without seams, the rows of a forest, corrected text. Colors are those of Okabe
// and Ito, which color-blind readers can tell apart, and every color comes with a dash pattern, a marker or a hatching of
// its own, so that a picture also reads in black and white.
package viz
