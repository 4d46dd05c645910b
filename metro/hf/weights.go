// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"metrolab/metro"
	"metrolab/metro/weights"
)

// origin is where a tensor of ours lies.
type origin struct {
	part  *part
	joint joint
}

// list finds all tensors of the folder, as a model of its config names them. What both models share is the main model's.
func (f *Folder) list() {
	f.origins = map[string]origin{}
	for _, p := range f.parts() {
		for _, j := range p.joints(f.Config) {
			if _, shared := f.origins[j.ours]; !shared {
				f.origins[j.ours] = origin{p, j}
				f.tensors = append(f.tensors, weights.Tensor{Name: j.ours, Shape: j.shape})
			}
		}
	}
}

// String implements [weights.Source]: the folder's path.
func (f *Folder) String() string { return f.Dir }

// Model implements [weights.Source]: the models of f.Config.
func (f *Folder) Model() metro.Model {
	m := metro.Model{Config: f.Config, Vocab: f.Config.Data.VocabSize, PadID: int32(f.parts()[0].settings.PadTokenID)}
	if f.Tokenizer != nil {
		m.PadID = f.Tokenizer.Special().PAD
	}
	return m
}

// Tensors implements [weights.Source].
func (f *Folder) Tensors() []weights.Tensor { return slices.Clone(f.tensors) }

// Read implements [weights.Source]. A tensor is turned into float32 and into our layout on the way from the file. Values that
// are no finite numbers are an error.
func (f *Folder) Read(name string, dst []float32) error {
	from, ok := f.origins[name]
	if !ok {
		return fmt.Errorf("%s has no tensor %.80s", f.Dir, name)
	}
	if want := elements(from.joint.shape); len(dst) != want {
		return fmt.Errorf("%s: tensor %s has %d elements, the buffer %d", f.Dir, name, want, len(dst))
	}
	if err := errors.Join(from.part.read(from.joint, dst), weights.Finite(dst)); err != nil {
		info, _ := from.part.lookup(from.joint.theirs)
		return fmt.Errorf("%s: tensor %s: %w", from.part.dir, cmp.Or(info.Name, from.joint.theirs), err)
	}
	return nil
}

// Slice implements [weights.Factored], of matrices that are stored as factors.
func (f *Folder) Slice(name string) (s weights.Slice, ok bool, err error) {
	from, ok := f.origins[name]
	if !ok {
		return s, false, nil
	}
	s, ok, err = from.part.file.Slice(from.joint.theirs)
	if err != nil {
		return s, false, fmt.Errorf("%s: %w", from.part.dir, err)
	}
	s.Transposed = s.Transposed != from.joint.transposed
	return s, ok, nil
}

func (p *part) read(j joint, dst []float32) error {
	values, err := p.floats(j.theirs)
	if err != nil {
		return err
	}
	if !j.transposed {
		return values.Read(dst)
	}
	rows, columns := j.sides()
	for size := rows * columns; len(dst) > 0; dst = dst[size:] {
		if err := values.ReadTransposed(dst[:size], columns, rows); err != nil {
			return err
		}
	}
	return nil
}
