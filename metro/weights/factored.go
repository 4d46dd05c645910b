// SPDX-License-Identifier: Apache-2.0

package weights

// Factored is a source some of whose matrices are products of factors. [Source.Read] multiplies them, so that whoever does not ask
// sees tensors like any.
type Factored interface {
	Source
	// Slice says which matrix of which product a tensor is; ok is false for one that is none. Tensors of one product have the same
	// pointer to it.
	Slice(name string) (s Slice, ok bool, err error)
}

// SliceOf says which matrix of which product a tensor of src is, if it is one.
func SliceOf(src Source, name string) (s Slice, ok bool, err error) {
	if f, is := src.(Factored); is {
		return f.Slice(name)
	}
	return s, false, nil
}

// Stored says how much of a source is stored as factors.
type Stored struct {
	Matrices int // that are products
	Numbers  int // that these are
	Factors  int // numbers that are stored in their place
}

// StoredAs counts what src stores as factors; nothing of it is multiplied.
func StoredAs(src Source) (s Stored, err error) {
	seen := map[*Product]bool{}
	for _, t := range src.Tensors() {
		slice, ok, err := SliceOf(src, t.Name)
		if err != nil {
			return s, err
		}
		if !ok {
			continue
		}
		s.Matrices++
		s.Numbers += t.Size()
		if !seen[slice.Product] {
			seen[slice.Product] = true
			s.Factors += slice.Numbers()
		}
	}
	return s, nil
}
