// SPDX-License-Identifier: Apache-2.0

// Package ablations runs studies: a baseline and named changes, each trained at the same seeds, compared on one outcome
// that is fixed beforehand.
//
// A [Study] is a value. [Study.Run] trains what is missing, in an order that completes pairs early, and may be stopped
// and started again at will: the run store is the only state, so nothing that was trained is trained twice.
// [Compare] is the statistics: differences paired by seed, Student's intervals, Holm's correction, and a verdict that
// is "undecided" unless the data say otherwise.
//
// [Results] are shown by one call each: [Results.Table], [Results.Forest], [Results.Curves], [Results.RunTable]; and
// [Results.Write] leaves report.html, results.csv and the pictures in a folder, which [Open] reads again. A [Board] shows a
// study while it trains.
package ablations
