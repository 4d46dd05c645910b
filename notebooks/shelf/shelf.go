// SPDX-License-Identifier: Apache-2.0

// Package shelf is the former name of package view, for cells that were written under it.
//
// Deprecated: use metrolab/notebooks/view.
package shelf

import (
	"fmt"

	"metrolab/metro/runs"
	"metrolab/notebooks/view"
	"metrolab/viz"
	"metrolab/viz/display"
	"metrolab/viz/table"
)

// Run is [view.Run].
type Run = view.Run

// LogFile is [view.LogFile].
const LogFile = view.LogFile

// Root is [view.Root].
func Root() string { return view.Root() }

// Open is [view.Open].
func Open(id string) *Run { return view.Open(id) }

// Load is [view.Load].
func Load(run *runs.Run) *Run { return view.Load(run) }

// List is [view.List].
func List() table.Table { return view.List() }

// Curves is [view.Curves].
func Curves(metric string, of ...*Run) viz.Curves { return view.Curves(metric, of...) }

// Frame is [view.Frame].
func Frame(r *Run, total int, left string) []display.Output { return view.Frame(r, total, left) }

// Follow is [view.Follow].
func Follow(id string) *Run { return view.Follow(id) }

// Stop is [view.Stop].
func Stop(id string) { view.Stop(id) }

// Must is [view.Must].
func Must[T any](v T, err error) T { return view.Must(v, err) }

// Check is [view.Check].
func Check(err error) { view.Check(err) }

// Guard is [view.Guard]. It must be deferred itself, as the other.
func Guard() {
	if problem := recover(); problem != nil {
		view.Check(fmt.Errorf("%v", problem))
	}
}
