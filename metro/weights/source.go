// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"

	"metrolab/metro"
)

// Tensor is a weight's name (see [metro.Weight.Tensor]) and shape.
type Tensor struct {
	Name  string
	Shape []int
}

// Size returns the number of elements.
func (t Tensor) Size() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Source is a trained model's weights. Tensors are read one at a time, when they are asked for.
type Source interface {
	fmt.Stringer // names the source in messages, by its folder

	// Model is whose weights they are: its config, and the rows of its token table. A part that the source has no weights for
	// may have width 0.
	Model() metro.Model
	// Tensors lists what there is, each once. An optimizer's state is not among it.
	Tensors() []Tensor
	// Read fills dst with the named tensor, row-major. The length of dst must be the tensor's number of elements. Errors name
	// the source.
	Read(name string, dst []float32) error
	// Close closes the files that are read.
	Close() error
}

// Shapes returns the shapes of src's tensors by their names.
func Shapes(src Source) map[string][]int {
	shapes := map[string][]int{}
	for _, t := range src.Tensors() {
		shapes[t.Name] = t.Shape
	}
	return shapes
}
