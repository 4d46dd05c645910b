// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// counterparts finds a model's weights among those of a source, whose two models may share less or more.
type counterparts struct {
	shapes map[string][]int
	places map[metro.Owner]map[metro.Place]metro.Weight
}

func counterpartsIn(src Source) counterparts {
	m := src.Model()
	described := metro.Describe(m.Config, m.Vocab)
	c := counterparts{Shapes(src), map[metro.Owner]map[metro.Place]metro.Weight{}}
	for _, reader := range []metro.Owner{metro.OwnerMain, metro.OwnerGenerator} {
		c.places[reader] = described.Of(reader).ByPlace()
	}
	return c
}

// of is the tensor that is to the source's model what w is to its own. A weight that no config describes has one name
// everywhere.
func (c counterparts) of(w metro.Weight) (t Tensor, ok bool) {
	reader := metro.OwnerMain
	if !w.ByMain {
		reader = metro.OwnerGenerator
	}
	t.Name = w.Tensor()
	if there, ok := c.places[reader][w.Place]; ok {
		t.Name = there.Tensor()
	}
	t.Shape, ok = c.shapes[t.Name]
	return t, ok
}

// All returns the weights that src has, of all that a model of its config may have.
func All(src Source) metro.Inventory {
	m := src.Model()
	return Held(src, metro.Describe(m.Config, m.Vocab))
}

// Held returns the weights of wanted, those of any model, that src has.
func Held(src Source, wanted metro.Inventory) metro.Inventory {
	there := counterpartsIn(src)
	return wanted.Where(func(w metro.Weight) bool {
		_, ok := there.of(w)
		return ok
	})
}

// renamed is a source under other names.
type renamed struct {
	Source
	model   metro.Model
	tensors []Tensor
	origins map[string]origin // by the names here
}

// origin is where a tensor comes from.
type origin struct {
	from Tensor
	size int // elements that are read of it, from the first
}

// As returns the weights of src as a model of config c has them: those of wanted that src has, in wanted's order, under
// their names there. The two models must agree (see [Agree]). A position table may be shorter than src's, whose end is then
// left out; any other difference of shapes is the user's error. Closing the result closes src.
func As(src Source, c metro.Config, wanted metro.Inventory) (Source, error) {
	if err := Agree(src, c, wanted); err != nil {
		return nil, err
	}
	r := renamed{Source: src, model: src.Model(), origins: map[string]origin{}}
	r.model.Config = c
	there := counterpartsIn(src)
	for _, w := range wanted {
		from, ok := there.of(w)
		if !ok {
			continue
		}
		if !slices.Equal(from.Shape, w.Shape) && !beginsWith(from, w) {
			return nil, usererr.New("%s: tensor %s is %v, the model has %v; change the config so that the shapes agree", src, from.Name, from.Shape, w.Shape)
		}
		r.origins[w.Tensor()] = origin{from, w.Size()}
		r.tensors = append(r.tensors, Tensor{w.Tensor(), w.Shape})
	}
	return r, nil
}

// beginsWith reports whether t is a position table of more rows than w.
func beginsWith(t Tensor, w metro.Weight) bool {
	return w.Part == metro.PositionTable && len(t.Shape) == 2 && t.Shape[0] > w.Shape[0] && t.Shape[1] == w.Shape[1]
}

// Model implements [Source].
func (r renamed) Model() metro.Model { return r.model }

// Tensors implements [Source].
func (r renamed) Tensors() []Tensor { return r.tensors }

// Read implements [Source].
func (r renamed) Read(name string, dst []float32) error {
	o, ok := r.origins[name]
	if !ok {
		return fmt.Errorf("%s has no tensor %.80s", r, name)
	}
	if len(dst) != o.size {
		return fmt.Errorf("%s: tensor %s has %d elements, the buffer %d", r, name, o.size, len(dst))
	}
	if o.size == o.from.Size() {
		return r.Source.Read(o.from.Name, dst)
	}
	whole := make([]float32, o.from.Size())
	if err := r.Source.Read(o.from.Name, whole); err != nil {
		return err
	}
	copy(dst, whole)
	return nil
}

// Slice implements [Factored]. What is read only in part is no matrix of a product.
func (r renamed) Slice(name string) (s Slice, ok bool, err error) {
	o, ok := r.origins[name]
	if !ok || o.size != o.from.Size() {
		return s, false, nil
	}
	return SliceOf(r.Source, o.from.Name)
}
