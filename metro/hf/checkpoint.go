// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"fmt"

	"metrolab/internal/safetensors"
)

// Checkpoint is the file of a checkpoint that holds the variables, as a [Source].
type Checkpoint struct{ file *safetensors.File }

// OpenCheckpoint opens a checkpoint's file of variables. The caller closes it.
func OpenCheckpoint(path string) (*Checkpoint, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	return &Checkpoint{file}, nil
}

// Tensors lists the variables.
func (c *Checkpoint) Tensors() []Tensor {
	var tensors []Tensor
	for _, info := range c.file.Tensors() {
		tensors = append(tensors, Tensor{info.Name, info.Shape})
	}
	return tensors
}

// Read fills dst with a variable's value.
func (c *Checkpoint) Read(name string, dst []float32) error {
	if info, _ := c.file.Lookup(name); elements(info.Shape) != len(dst) {
		return fmt.Errorf("variable %.80s has %d elements, the buffer %d", name, elements(info.Shape), len(dst))
	}
	values, err := newFloats(c.file, name)
	if err != nil {
		return err
	}
	return values.read(dst)
}

// Close closes the file.
func (c *Checkpoint) Close() error { return c.file.Close() }
