// SPDX-License-Identifier: Apache-2.0

// Package typeset writes numbers and words as figures, tables and reports show them: real minus signs, a dash for what is
// not known, no control characters, lines broken to a width.
package typeset
