// SPDX-License-Identifier: Apache-2.0

package weights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/metro"
)

// Restore sets the variables of wanted, weights of a model of config c, in store to what src has for them; see [As]. All
// must be there, else the error names those that src lacks, and no variable has changed.
func Restore(store *model.Store, src Source, c metro.Config, wanted metro.Inventory) error {
	as, err := As(src, c, wanted)
	if err != nil {
		return err
	}
	if lacking := lacking(as, wanted); len(lacking) > 0 {
		return usererr.New("%s lacks %d weights that the config asks for: %s, …", src, len(lacking), strings.Join(lacking[:min(3, len(lacking))], ", "))
	}
	values := make([]*tensors.Tensor, len(wanted))
	for i, w := range wanted {
		if values[i], err = read(as, w, store.GetVariable(w.Path())); err != nil {
			return usererr.New("%w", err)
		}
	}
	for i, w := range wanted {
		if err := store.GetVariable(w.Path()).SetValue(values[i]); err != nil {
			return fmt.Errorf("set %s: %w", w.Path(), err)
		}
	}
	return nil
}

// lacking names the tensors that src has not, in order.
func lacking(src Source, wanted metro.Inventory) (names []string) {
	shapes := Shapes(src)
	for _, w := range wanted {
		if _, ok := shapes[w.Tensor()]; !ok {
			names = append(names, w.Tensor())
		}
	}
	slices.Sort(names)
	return names
}

// read reads the value of w for its variable v.
func read(src Source, w metro.Weight, v *model.Variable) (*tensors.Tensor, error) {
	if v == nil || v.DType() != dtypes.Float32 || !slices.Equal(v.Shape().Dimensions, w.Shape) {
		return nil, fmt.Errorf("the variable of %s %v is not float32 of that shape", w.Tensor(), w.Shape)
	}
	value := tensors.FromShape(v.Shape())
	var reading error
	if err := tensors.MutableFlatData(value, func(flat []float32) { reading = src.Read(w.Tensor(), flat) }); err != nil {
		return nil, err
	}
	return value, reading
}
