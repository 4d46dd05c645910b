// SPDX-License-Identifier: Apache-2.0

package table

import "metrolab/viz/display"

// Bundle implements [display.Output]: Markdown, and the text for a terminal of any width.
func (t Table) Bundle() (display.Bundle, error) {
	markdown, err := t.Markdown()
	if err != nil {
		return display.Bundle{}, err
	}
	text, err := t.Text(0)
	return display.Bundle{Forms: map[string][]byte{display.Markdown: []byte(markdown), display.Text: []byte(text)}}, err
}
