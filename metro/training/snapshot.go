// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/safetensors"
)

var typeNames = map[dtypes.DType]string{dtypes.Float32: "F32", dtypes.Float64: "F64"}

// writeVariables writes variables to a safetensors file; a tensor's name is its path without the first slash, with
// dots for the others.
func writeVariables(path string, variables []*model.Variable) error {
	byName := map[string]*model.Variable{}
	infos := make([]safetensors.Info, len(variables))
	for i, v := range variables {
		infos[i] = safetensors.Info{Name: tensorName(v), DType: typeNames[v.DType()], Shape: v.Shape().Dimensions}
		byName[infos[i].Name] = v
	}
	return safetensors.WriteFile(path, infos, nil, func(info safetensors.Info, w io.Writer) error {
		value, err := byName[info.Name].Value()
		if err != nil {
			return err
		}
		var writing error
		err = value.ConstBytes(func(b []byte) { _, writing = w.Write(b) })
		if err != nil {
			return err
		}
		return writing
	})
}

// readVariables sets variables from the file that writeVariables wrote. Missing, unexpected and differently shaped
// tensors are errors that name them, and then no variable has changed.
func readVariables(path string, variables []*model.Variable) error {
	file, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	values := make([]*tensors.Tensor, len(variables))
	for i, v := range variables {
		if values[i], err = readTensor(file, v); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if extra := len(file.Tensors()) - len(variables); extra > 0 {
		return fmt.Errorf("%s: the file holds %d tensors that the model has not", path, extra)
	}
	for i, v := range variables {
		if err := v.SetValue(values[i]); err != nil {
			return fmt.Errorf("set %s: %w", v.Path(), err)
		}
	}
	return nil
}

// readTensor reads the value of v.
func readTensor(file *safetensors.File, v *model.Variable) (*tensors.Tensor, error) {
	name := tensorName(v)
	info, ok := file.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("the file holds no tensor %s", name)
	}
	if info.DType != typeNames[v.DType()] || !slices.Equal(info.Shape, v.Shape().Dimensions) {
		return nil, fmt.Errorf("tensor %s is %s %v, the model has %s", name, info.DType, info.Shape, v.Shape())
	}
	value := tensors.FromShape(v.Shape())
	var reading error
	if err := value.MutableBytes(func(b []byte) { reading = file.Read(name, b) }); err != nil {
		return nil, err
	}
	return value, reading
}

// Save writes the variables, as checkpoints hold them, to a safetensors file: the weights and the moments of those that learn.
func (p *Program) Save(path string) error { return writeVariables(path, p.Variables()) }

// Load sets the variables from a file that [Program.Save] wrote.
func (p *Program) Load(path string) error { return readVariables(path, p.Variables()) }

func tensorName(v *model.Variable) string {
	return strings.ReplaceAll(strings.TrimPrefix(v.Path(), "/"), "/", ".")
}
