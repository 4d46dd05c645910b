// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// Dir is the folder that [Show] and [Live] write to where there is no notebook.
var Dir = "figures"

// Output is what [Show] shows: every picture of this package, a finished [Figure], a [Table], and what [Interactive]
// makes of them. A picture of your own becomes one as a Figure.
type Output interface {
	bundle() (bundle, error)
}

// Show shows outputs below a notebook's cell, in their order. A picture is a PNG, with its caption and numbers as the text
// beside it, so that it shows in a notebook that is not trusted; a table is Markdown. Outside a notebook the same call
// writes pictures to [Dir], saying where, and prints tables.
//
// It fails on what cannot be drawn, in one line each, and shows the others. In a notebook the line also stands below the
// cell, so that a cell may leave the error be.
func Show(outputs ...Output) error {
	var errs []error
	for _, o := range outputs {
		b, err := o.bundle()
		if err == nil {
			err = b.show("")
		}
		errs = append(errs, err)
	}
	sync()
	return complain(errors.Join(errs...))
}

// bundle is one output in all its forms.
type bundle struct {
	forms map[protocol.MIMEType]any
	width int               // CSS pixels to show a PNG at
	text  string            // for a terminal, if there are no files
	files map[string][]byte // by name
}

// show sends the bundle to the notebook, in the place of the one before with the same id, or writes it down.
func (b bundle) show(id string) error {
	if !gonbui.IsNotebook {
		return b.write()
	}
	data := &protocol.DisplayData{Data: b.forms, DisplayID: id}
	if b.width > 0 {
		// Only maps that the protocol has registered get through its pipe.
		data.Metadata = map[string]any{string(protocol.MIMEImagePNG): map[string]int{"width": b.width}}
	}
	gonbui.SendData(data)
	if err := gonbui.Error(); err != nil {
		return fmt.Errorf("viz: the notebook does not answer; restart its kernel: %w", err)
	}
	return nil
}

func (b bundle) write() error {
	if len(b.files) == 0 {
		fmt.Print(b.text)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		path := filepath.Join(Dir, name)
		if err := writeFile(path, b.files[name]); err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}

// sync waits until the notebook has all that was sent; a program that ends before loses output. After a failure there is
// nobody to wait for.
func sync() {
	if gonbui.IsNotebook && gonbui.Error() == nil {
		gonbui.Sync()
	}
}

// complain writes an error below the cell.
func complain(err error) error {
	if err != nil && gonbui.IsNotebook {
		fmt.Fprintln(os.Stderr, err)
	}
	return err
}

func (f Figure) bundle() (bundle, error) {
	if err := f.check(); err != nil {
		return bundle{}, err
	}
	return bundle{
		forms: map[protocol.MIMEType]any{protocol.MIMEImagePNG: f.PNG, protocol.MIMETextPlain: f.Title + "\n" + f.Alt},
		width: f.Width,
		files: map[string][]byte{f.Name + ".png": f.PNG},
	}, nil
}

func (t Table) bundle() (bundle, error) {
	markdown, err := t.Markdown()
	if err != nil {
		return bundle{}, err
	}
	text, err := t.Text(0)
	return bundle{forms: map[protocol.MIMEType]any{protocol.MIMETextMarkdown: markdown, protocol.MIMETextPlain: text}, text: text}, err
}

// drawn is the bundle of a picture.
func drawn(f Figure, err error) (bundle, error) {
	if err != nil {
		return bundle{}, err
	}
	return f.bundle()
}

func (c Curves) bundle() (bundle, error)         { return drawn(c.Figure()) }
func (f Forest) bundle() (bundle, error)         { return drawn(f.Figure()) }
func (b Bars) bundle() (bundle, error)           { return drawn(b.Figure()) }
func (h Heatmap) bundle() (bundle, error)        { return drawn(h.Figure()) }
func (r ROC) bundle() (bundle, error)            { return drawn(r.Figure()) }
func (c Calibration) bundle() (bundle, error)    { return drawn(c.Figure()) }
func (g GeneratorSizes) bundle() (bundle, error) { return drawn(g.Figure()) }
func (c Correction) bundle() (bundle, error)     { return drawn(c.Figure()) }
func (t Timings) bundle() (bundle, error)        { return drawn(t.Figure()) }
