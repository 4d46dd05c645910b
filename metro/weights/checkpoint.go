// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"
	"slices"
	"strings"

	"metrolab/internal/safetensors"
	"metrolab/metro"
)

// checkpoint is the file of a run's variables.
type checkpoint struct {
	name    string
	model   metro.Model
	tensors []Tensor
	file    *safetensors.File
}

// OpenCheckpoint opens the variables of a run, a safetensors file in float32, whose tensors are named after their paths; name
// is what messages call it. The model's vocabulary is at least m's, and as large as the token table in the file. A tensor
// that is no weight of m is an error, if all of m's weights are known (see [metro.Config.Inventory]).
func OpenCheckpoint(path, name string, m metro.Model) (Source, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	c := &checkpoint{name: name, model: m, file: file}
	if err := c.list(path); err != nil {
		_ = file.Close()
		return nil, err
	}
	return c, nil
}

// Averages begins the tensors of a checkpoint that are running averages of weights; see config field training.ema.
const Averages = "ema"

// isState tells what an optimizer remembers, and averages, from weights.
func isState(tensor string) bool {
	scope, _, _ := strings.Cut(tensor, ".")
	return scope == Averages || slices.Contains(metro.OptimizerNames(), scope)
}

// list finds the weights among the file's tensors.
func (c *checkpoint) list(path string) error {
	for _, info := range c.file.Tensors() {
		if isState(info.Name) {
			continue
		}
		if info.DType != "F32" {
			return fmt.Errorf("weights %s: tensor %s is of type %s; those of a model are F32", path, info.Name, info.DType)
		}
		c.tensors = append(c.tensors, Tensor{info.Name, info.Shape})
	}
	shapes := Shapes(c)
	c.model.Vocab = max(c.model.Vocab, metro.VocabSize(c.model.Config, func(tensor string) ([]int, bool) {
		shape, ok := shapes[tensor]
		return shape, ok
	}))
	if _, complete := c.model.Config.Inventory(c.model.Vocab); !complete {
		return nil
	}
	for _, w := range metro.Describe(c.model.Config, c.model.Vocab) {
		delete(shapes, w.Tensor())
	}
	for name := range shapes {
		return fmt.Errorf("weights %s: tensor %s is no weight of a model of the run's config", path, name)
	}
	return nil
}

// String implements [Source].
func (c *checkpoint) String() string { return c.name }

// Model implements [Source].
func (c *checkpoint) Model() metro.Model { return c.model }

// Tensors implements [Source], in the order of the file.
func (c *checkpoint) Tensors() []Tensor { return c.tensors }

// Read implements [Source]. Values that are no finite numbers are an error.
func (c *checkpoint) Read(name string, dst []float32) error {
	if err := c.file.ReadFloats(name, dst); err != nil {
		return err
	}
	if err := Finite(dst); err != nil {
		return fmt.Errorf("%s: tensor %s: %w", c.name, name, err)
	}
	return nil
}

// Close implements [Source].
func (c *checkpoint) Close() error { return c.file.Close() }
