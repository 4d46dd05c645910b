// SPDX-License-Identifier: Apache-2.0

// Package viz turns plain numbers into what a researcher looks at: figures, tables and one self-contained report.
//
// Every picture is a plain struct: fill in the numbers, call Figure. [Curves] draws runs over steps with a band over
// seeds, [Forest] paired differences to a baseline with their intervals and verdicts, [Bars] grouped bars with error
// bars. A [Figure] is a PNG with its caption; equal input gives equal bytes. A [Table] is defined once and printed as
// terminal text, Markdown, HTML or CSV. A [Report] puts all of it into one HTML file that opens without a network.
//
// The package knows nothing of training and imports nothing of this module. Colors are those of Okabe and Ito, which
// color-blind readers can tell apart, and every color comes with a dash pattern, a marker or a hatching of its own, so
// that a picture also reads in black and white.
package viz
