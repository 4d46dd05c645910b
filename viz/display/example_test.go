// SPDX-License-Identifier: Apache-2.0

package display_test

import (
	"fmt"

	"metrolab/viz/display"
)

// formula is an output of one's own: notebooks typeset it, and a terminal prints it.
type formula string

func (f formula) Bundle() (display.Bundle, error) {
	return display.Bundle{Forms: map[string][]byte{display.Markdown: []byte("$" + f + "$"), display.Text: []byte(f + "\n")}}, nil
}

func ExampleOutput() {
	var out display.Output = formula("a^2 + b^2 = c^2")
	b, err := out.Bundle()
	fmt.Printf("%s%s\n%v\n", b.Forms[display.Text], b.Forms[display.Markdown], err)
	// Output:
	// a^2 + b^2 = c^2
	// $a^2 + b^2 = c^2$
	// <nil>
}
