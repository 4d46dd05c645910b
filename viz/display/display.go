// SPDX-License-Identifier: Apache-2.0

// Package display is how a figure or a table offers itself to whoever shows it: in every form that it has, by MIME type,
// as notebooks exchange it. It links nothing.
package display

// The MIME types of an output's forms.
const (
	Text     = "text/plain"
	Markdown = "text/markdown"
	HTML     = "text/html"
	PNG      = "image/png"
	VegaLite = "application/vnd.vegalite.v5+json"
)

// Output is what can be shown: the figures of package viz, a table, and whatever else has a form that the reader's
// program knows.
type Output interface {
	// Bundle returns the forms, or why there are none.
	Bundle() (Bundle, error)
}

// Bundle is one output in all its forms.
type Bundle struct {
	Name  string            // of the files that it may become, without their end; empty for what is printed
	Forms map[string][]byte // by MIME type
	Width int               // to show the PNG at, in CSS pixels; 0 for its own width
}
