// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"fmt"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// Tensor is one variable's name, its path with dots for slashes ("main.layer_0.ffn_in.weights"), and its shape.
type Tensor struct {
	Name  string
	Shape []int
}

// Source gives tensors, one at a time.
type Source interface {
	// Tensors lists what there is.
	Tensors() []Tensor
	// Read fills dst with the named tensor, row-major. The length of dst must be that of the tensor.
	Read(name string, dst []float32) error
}

// Weights are a folder's tensors, as the variables of a model of some config: a [Source] that reads from the files.
type Weights struct {
	dir     string
	tensors []Tensor
	from    map[string]origin
}

type origin struct {
	part  *part
	joint joint
}

// For returns all tensors of the folder as a model of config c names them. c must have the shape of the folder's models, with
// two liberties: its position table may be shorter, which leaves out the end of the folder's, and its models may share
// less. Any other difference is an error, the user's to mend, that lists all of them. What c says of parts that the
// folder lacks, and of everything but shape, is not looked at.
func (f *Folder) For(c metro.Config) (*Weights, error) {
	return f.weights(c, f.parts())
}

// ForGenerator is [Folder.For] for the generator alone, whatever c says of the main model. c shares nothing.
func (f *Folder) ForGenerator(c metro.Config) (*Weights, error) {
	if f.generator == nil {
		return nil, usererr.New("%s holds no generator (a model with a masked language modelling head)", f.Dir)
	}
	return f.weights(c, []*part{f.generator})
}

func (f *Folder) weights(c metro.Config, parts []*part) (*Weights, error) {
	if err := f.fits(c, parts); err != nil {
		return nil, err
	}
	w := &Weights{dir: f.Dir, from: map[string]origin{}}
	for _, p := range parts {
		for _, j := range p.joints(c) {
			if _, shared := w.from[j.ours]; shared {
				continue
			}
			w.from[j.ours] = origin{p, j}
			w.tensors = append(w.tensors, Tensor{j.ours, j.shape})
		}
	}
	return w, nil
}

// Tensors lists the tensors.
func (w *Weights) Tensors() []Tensor { return slices.Clone(w.tensors) }

// Read fills dst with a tensor, turned into float32 and into our layout on the way from the file.
func (w *Weights) Read(name string, dst []float32) error {
	from, ok := w.from[name]
	if !ok {
		return fmt.Errorf("%s has no tensor %.80s", w.dir, name)
	}
	if want := elements(from.joint.shape); len(dst) != want {
		return fmt.Errorf("%s: tensor %s has %d elements, the buffer %d", w.dir, name, want, len(dst))
	}
	if err := from.part.read(from.joint, dst); err != nil {
		return fmt.Errorf("%s: tensor %s: %w", from.part.dir, from.joint.theirs, err)
	}
	return nil
}

func (p *part) read(j joint, dst []float32) error {
	values, err := newFloats(p.file, j.theirs)
	if err != nil {
		return err
	}
	if j.transposed {
		return values.transpose(dst, j.shape[1], j.shape[0])
	}
	return values.read(dst)
}
