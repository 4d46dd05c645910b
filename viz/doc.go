// SPDX-License-Identifier: Apache-2.0

// Package viz turns plain numbers into what a researcher looks at: figures, tables and one self-contained report.
//
// Every picture is a plain struct: fill in the numbers, then call its Figure, or [Show] it.
//
//   - [Curves] are runs over training with a band over seeds; [LossSpikes], [GradientNorms] and [TieCosine] are Curves
//     with the words of one question.
//   - [Forest] is paired differences to a baseline with their intervals and verdicts, [Bars] grouped bars with error bars,
//     [GeneratorSizes] an outcome against the generator's size.
//   - [Heatmap] is matrices as colors: [BiasMap], [AttentionMap]; [BiasProfile] is the bias of each head as a line.
//   - [ROC] and [Calibration] are what a detector's probabilities are worth.
//   - [Correction] is a text with what the model doubts and would write instead.
//   - [Bench] times functions and draws the quantiles.
//
// A [Figure] is a PNG with its caption; equal input gives equal bytes. A [Table] is defined once and printed as terminal
// text, Markdown, HTML or CSV. A [Report] puts all of it into one HTML file that opens without a network.
//
// In a GoNB notebook [Show] puts pictures and tables below the cell, [Live] changes them while the cell trains, and
// [Interactive] adds a form to zoom into. Outside a notebook the same calls write files to [Dir].
//
// What cannot be drawn is an error of one line that says what to change; nothing panics.
//
// The package knows nothing of training and imports nothing of this module. Colors are those of Okabe and Ito, which
// color-blind readers can tell apart, and every color comes with a dash pattern, a marker or a hatching of its own, so
// that a picture also reads in black and white.
package viz
