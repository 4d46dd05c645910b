// SPDX-License-Identifier: Apache-2.0

// Package view is for notebook cells that look at runs: open them, draw them, follow one that is training in the
// background, stop it. A cell is a program that ends, so what was computed lives in the runs' folders, and this package
// takes it from there. It links no backend: a cell that only plots is built in half a second.
//
// Its functions do not return errors. What goes wrong ends the cell with one line that says what to do.
package view
