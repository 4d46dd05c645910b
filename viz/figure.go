// SPDX-License-Identifier: Apache-2.0

package viz

import (
	"fmt"
	"path/filepath"
	"regexp"

	"metrolab/viz/internal/files"
)

// Figure is a finished picture.
type Figure struct {
	Name  string // file name without its end, such as "forest"
	Title string
	// Caption may be empty. Alt is the caption and then the numbers that the picture shows, for who cannot see it.
	Caption, Alt string
	PNG          []byte // 192 dots an inch
	// Width and Height are the size to show it at, in CSS pixels of 1/96 inch: half of the PNG's own pixels.
	Width, Height int
}

// Save writes dir/Name.png, making dir where it does not exist, and returns the path. The file is complete or not there.
func (f Figure) Save(dir string) (string, error) {
	if err := f.check(); err != nil {
		return "", err
	}
	path := filepath.Join(dir, f.Name+".png")
	return path, files.Write(path, f.PNG)
}

func (f Figure) check() error {
	if len(f.PNG) == 0 {
		return fmt.Errorf("viz: figure %q holds no picture; make it by Curves, Forest, Bars or another picture of this package", f.Name)
	}
	return checkName(f.Name)
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

func checkName(name string) error {
	if !goodName.MatchString(name) {
		return fmt.Errorf("viz: figure name %q cannot be a file name; use letters, digits, '.', '_' and '-'", name)
	}
	return nil
}
