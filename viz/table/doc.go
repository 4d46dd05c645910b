// SPDX-License-Identifier: Apache-2.0

// Package table prints tables: a [Table] is defined once and becomes text for a terminal, Markdown, HTML or CSV.
//
// It links neither fonts nor a plotting library nor a notebook, so that a program that only prints stays small.
package table
