// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"os"
	"strings"

	"github.com/janpfeifer/gonb/gonbui"
)

// Must returns v, or ends the cell with err in one line.
func Must[T any](v T, err error) T {
	Check(err)
	return v
}

// Check ends the cell with err in one line, if there is one.
func Check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

// Guard, deferred at the head of a cell, turns a panic, such as that of a graph function about a shape, into one line:
//
//	defer view.Guard()
func Guard() {
	if problem := recover(); problem != nil {
		fail(fmt.Sprint(problem))
	}
}

// end is os.Exit, but in tests.
var end = os.Exit

// fail prints the first lines of a message as one, and ends the program: without the stack that GoMLX's errors carry, and
// after the pictures that were sent have arrived.
func fail(message string) {
	if gonbui.IsNotebook && gonbui.Error() == nil {
		gonbui.Sync()
	}
	head, _, _ := strings.Cut(message, "\ngoroutine ")
	head, _, _ = strings.Cut(head, "\nStack trace")
	fmt.Fprintln(os.Stderr, "✗ "+strings.Join(strings.Fields(head), " "))
	end(1)
}
