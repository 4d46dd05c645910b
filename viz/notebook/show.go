// SPDX-License-Identifier: Apache-2.0

package notebook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"metrolab/viz/display"
	"metrolab/viz/internal/files"
)

// Dir is the folder that [Show] and [Live] write to where there is no notebook.
var Dir = "figures"

// Output is what [Show] shows: every picture of package viz, a finished viz.Figure, what viz.Interactive makes of a
// picture, a table.Table, and whatever else offers itself in forms that the notebook knows.
type Output = display.Output

// Show shows outputs below a notebook's cell, in their order. A picture is a PNG, with its caption and numbers as the text
// beside it, so that it shows in a notebook that is not trusted; a table is Markdown. Outside a notebook the same call
// writes pictures to [Dir], saying where, and prints tables.
//
// It fails on what cannot be drawn, in one line each, and shows the others. In a notebook the line also stands below the
// cell, so that a cell may leave the error be.
func Show(outputs ...Output) error {
	var errs []error
	for _, o := range outputs {
		b, err := o.Bundle()
		if err == nil {
			err = show(b, "")
		}
		errs = append(errs, err)
	}
	sync()
	return complain(errors.Join(errs...))
}

// show sends the bundle to the notebook, in the place of the one before with the same id, or writes it down.
func show(b display.Bundle, id string) error {
	if !gonbui.IsNotebook {
		return write(b)
	}
	data := &protocol.DisplayData{Data: map[protocol.MIMEType]any{}, DisplayID: id}
	for mime, form := range b.Forms {
		data.Data[protocol.MIMEType(mime)] = encoded(mime, form)
	}
	if b.Width > 0 {
		// Only maps that the protocol has registered get through its pipe.
		data.Metadata = map[string]any{display.PNG: map[string]int{"width": b.Width}}
	}
	gonbui.SendData(data)
	if err := gonbui.Error(); err != nil {
		return fmt.Errorf("viz: the notebook does not answer; restart its kernel: %w", err)
	}
	return nil
}

// encoded is a form as the notebook's protocol takes it: bytes for a picture and strings for all else. The renderer of
// Vega-Lite takes a string for an address, and one that holds the data itself loads nothing.
func encoded(mime string, form []byte) any {
	switch mime {
	case display.PNG:
		return form
	case display.VegaLite:
		return "data:application/json;base64," + base64.StdEncoding.EncodeToString(form)
	default:
		return string(form)
	}
}

// ends are those of the files that forms become.
var ends = map[string]string{display.PNG: ".png", display.HTML: ".html", display.VegaLite: ".vl.json"}

// write writes the forms of an output with a name to files, and prints the text of one without.
func write(b display.Bundle) error {
	if b.Name == "" {
		fmt.Print(string(b.Forms[display.Text]))
		return nil
	}
	for _, mime := range slices.Sorted(maps.Keys(b.Forms)) {
		if ends[mime] == "" {
			continue
		}
		path := filepath.Join(Dir, b.Name+ends[mime])
		if err := files.Write(path, b.Forms[mime]); err != nil {
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
