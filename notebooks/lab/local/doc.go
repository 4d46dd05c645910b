// SPDX-License-Identifier: Apache-2.0

// Package local is package lab in the cell's own program, which links the engine: for cells that train with parts of their
// own, such as an objective that they have registered, and for those that run graphs or read texts with a model.
//
//	l := local.Open()
//	reader := l.Reader(run.Dir, tasks.ReaderOptions{})
//
// A cell that imports it takes some seconds more to build. Its runs are those of package lab: either finds what the other
// has trained.
package local
