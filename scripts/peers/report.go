// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"metrolab/internal/atomicfile"
	"metrolab/internal/machine"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
	"metrolab/viz/table"
)

// report is what was measured on one machine, the last comparison of each peer at each shape.
type report struct {
	Machine     string       `json:"machine"`
	Comparisons []comparison `json:"comparisons"`
}

const reportFile, pageFile = "report.json", "report.md"

// readReport is the report in the folder out, to be gone on with; a new one if there is none of this machine.
func readReport(out string) (r report, err error) {
	here := thisMachine()
	path := filepath.Join(out, reportFile)
	raw, err := os.ReadFile(path)
	if err == nil {
		if err = json.Unmarshal(raw, &r); err != nil {
			return r, usererr.New("%s is damaged: %w; remove it, or name another folder with --out", path, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	if r.Machine != here {
		r = report{Machine: here}
	}
	return r, nil
}

// thisMachine is the processor and how many of them there are.
func thisMachine() string {
	model, _ := machine.CPU()
	return fmt.Sprintf("%d processors, %s", runtime.NumCPU(), model)
}

// add puts c in the place of the comparison of its peer and shape before it.
func (r *report) add(c comparison) {
	r.Comparisons = slices.DeleteFunc(r.Comparisons, func(old comparison) bool { return old.Shape == c.Shape && old.Name == c.Name })
	r.Comparisons = append(r.Comparisons, c)
}

// write writes the report, as numbers and as a page, into the folder out.
func (r report) write(out string) error {
	if err := runs.WriteJSON(filepath.Join(out, reportFile), r); err != nil {
		return err
	}
	page, err := r.print(table.Table.Markdown)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(out, pageFile), []byte(page))
}

// at lists the comparisons at a shape, in the order of peers.
func (r report) at(s shape) (list []comparison) {
	for _, p := range peers {
		for _, c := range r.Comparisons {
			if c.Shape == s.name && c.Name == p.name {
				list = append(list, c)
			}
		}
	}
	return list
}

// print is the report as text, its tables as show shows them.
func (r report) print(show func(table.Table) (string, error)) (string, error) {
	var b strings.Builder
	for _, s := range shapes {
		list := r.at(s)
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s: %s. %s.\n\n", s.name, s.about, r.Machine)
		for _, t := range []table.Table{ratios(list), sameMaths(list)} {
			shown, err := show(t)
			if err != nil {
				return "", err
			}
			b.WriteString(shown + "\n")
		}
		if s.recipe != "" {
			c, err := s.config()
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "A model that knows nothing: %s.\n\n", parts(ignorance(c)))
		}
		for _, c := range list {
			if c.Failure != "" {
				fmt.Fprintf(&b, "%s did not run: %s.\n\n", c.Name, c.Failure)
			}
		}
	}
	for _, line := range verdicts(r.Comparisons) {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	return b.String(), nil
}
