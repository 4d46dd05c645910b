// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"strings"

	"metrolab/internal/safetensors"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// variablesFile is the weights in a checkpoint, as package training names it; [Run.Tensor] links no backend.
const variablesFile = "variables.safetensors"

// Tensor reads a matrix of the weights, such as "main.relative_position_table", [buckets, heads], from the run's newest good
// checkpoint: its rows; a vector is one row. The name is the variable's path with dots. A name that the checkpoint does not
// have ends the cell with a line that lists some of those it has.
func (r *Run) Tensor(name string) [][]float64 { return Must(r.tensor(name)) }

func (r *Run) tensor(name string) ([][]float64, error) {
	checkpoint, found, err := runs.Checkpoints{Dir: r.Path(runs.CheckpointsDir)}.Latest(nil)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, usererr.New("run %s has no checkpoint yet; train it further", r.ID)
	}
	file, err := safetensors.Open(filepath.Join(checkpoint.Dir, variablesFile))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, ok := file.Lookup(name)
	if !ok {
		return nil, usererr.New("run %s has no tensor %q; it has %s", r.ID, name, some(file.Tensors(), name))
	}
	if info.DType != "F32" || len(info.Shape) == 0 || len(info.Shape) > 2 {
		return nil, usererr.New("tensor %q of run %s is %s %v; only float32 matrices and vectors can be read here", name, r.ID, info.DType, info.Shape)
	}
	size, err := info.Size()
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if err := file.Read(name, data); err != nil {
		return nil, err
	}
	return rows(data, info.Shape[len(info.Shape)-1]), nil
}

// rows cuts little-endian float32 values into rows of a width.
func rows(data []byte, width int) (rows [][]float64) {
	for len(data) > 0 {
		row := make([]float64, width)
		for i := range row {
			row[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		}
		rows, data = append(rows, row), data[4*width:]
	}
	return rows
}

// some lists the weights that end like name or, if none does, the first; the optimizer's moments are left out.
func some(all []safetensors.Info, name string) string {
	const most = 8
	end := name[strings.LastIndex(name, ".")+1:]
	var names, alike []string
	for _, info := range all {
		if strings.HasPrefix(info.Name, "adamw.") {
			continue
		}
		names = append(names, info.Name)
		if strings.HasSuffix(info.Name, "."+end) {
			alike = append(alike, info.Name)
		}
	}
	if len(alike) > 0 {
		names = alike
	}
	list := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		list += " and more"
	}
	return list
}
