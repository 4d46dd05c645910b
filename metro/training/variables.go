// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/layers"
	"metrolab/metro"
)

// InitialVariables returns a store with the variables of m, first values drawn from its seed. Nothing is compiled.
func InitialVariables(backend compute.Backend, m metro.Model) (*model.Store, error) {
	store, _, err := initialize(backend, NewPretraining(m))
	return store, err
}

// initialize makes the variables of w from the inventory of its config, and builds its graph over them. What that reads is
// what w trains: of parts from elsewhere and of tasks nothing else knows, and of all others the inventory must have said so.
func initialize(backend compute.Backend, w Workload) (*model.Store, metro.Inventory, error) {
	return initializeBy(backend, w, nil)
}

// initializeBy is [initialize] with first values by init, if that is not nil, of what the inventory lists.
func initializeBy(backend compute.Backend, w Workload, init layers.Initializer) (*model.Store, metro.Inventory, error) {
	m, store := w.Model(), model.NewStore()
	store.SetParam(layers.ParamSeed, m.Config.Seed)
	listed, complete := m.Config.Inventory(m.Vocab)
	var read metro.Inventory
	err := exceptions.TryCatch[error](func() {
		if complete {
			for i := range listed {
				if init != nil {
					listed[i].Init = init
				}
			}
			listed.Fill(store)
		}
		g := NewGraph(backend, "variables")
		defer g.Finalize()
		model.SetStore(g, store)
		parts, n := w.Inputs()
		in := make([]*Node, len(parts))
		for i, shape := range parts {
			in[i] = Parameter(g, fmt.Sprintf("input_%d", i), shape)
		}
		var scalars *Node
		if n > 0 {
			scalars = Parameter(g, "scalars", shapes.Make(dtypes.Float32, n))
		}
		w.Forward(store.RootScope(), in, scalars, nil, nil)
		read = m.ReadBy(g, store)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("build the model: %w", err)
	}
	if complete {
		if err := sameWeights(listed, read); err != nil {
			return nil, nil, err
		}
	}
	return store, read, nil
}

// sameWeights makes sure that a graph reads what the inventory of its config lists, and nothing else.
func sameWeights(listed, read metro.Inventory) error {
	inList, inGraph := listed.ByPath(), read.ByPath()
	for path := range inList {
		if _, ok := inGraph[path]; !ok {
			return fmt.Errorf("the inventory lists %s, which the model does not read", path)
		}
	}
	for path := range inGraph {
		if _, ok := inList[path]; !ok {
			return fmt.Errorf("the model reads %s, which its inventory does not list", path)
		}
	}
	return nil
}

// variablesOf lists the variables that store has of inv.
func variablesOf(store *model.Store, inv metro.Inventory) []*model.Variable {
	var list []*model.Variable
	for _, w := range inv {
		if v := store.GetVariable(w.Path()); v != nil {
			list = append(list, v)
		}
	}
	return list
}

// weightsIn lists the weights that store has variables for: those that m's config describes, and then all others.
func weightsIn(store *model.Store, m metro.Model) metro.Inventory {
	inv := metro.Describe(m.Config, m.Vocab).Where(func(w metro.Weight) bool { return store.GetVariable(w.Path()) != nil })
	described := inv.ByPath()
	for v := range store.IterVariables() {
		if _, ok := described[v.Path()]; !ok {
			inv = append(inv, metro.Weight{Place: metro.Place{Layer: -1, Part: v.Path()[1:]}, Shape: v.Shape().Dimensions})
		}
	}
	return inv
}

// byPath sorts variables by their paths.
func byPath(list []*model.Variable) []*model.Variable {
	slices.SortFunc(list, func(a, b *model.Variable) int { return strings.Compare(a.Path(), b.Path()) })
	return list
}
