// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/randstream"
)

// Role is what a weight is for, whatever the part that it belongs to.
type Role string

// The roles of the weights of this package. A part from elsewhere may have others.
const (
	RoleTable    Role = "table"          // rows that ids look up
	RoleDense    Role = "dense"          // the matrix of a linear map, or of as many as there are experts
	RoleGate     Role = "gate"           // the matrix of a linear map that chooses among experts
	RoleBias     Role = "bias"           // the vector that a map adds
	RoleNorm     Role = "norm"           // gain or offset of a normalisation
	RoleRelative Role = "relative table" // what attention adds by distance
)

// Decays reports whether weight decay applies: to all but biases, gains and offsets.
func (r Role) Decays() bool { return r != RoleBias && r != RoleNorm }

// roleOf is the role of a weight of which nothing but the name is known.
func roleOf(name string) Role {
	switch {
	case name == "gain" || name == "offset":
		return RoleNorm
	case name == "bias" || strings.HasSuffix(name, "_bias"):
		return RoleBias
	default:
		return RoleDense
	}
}

// Weight describes one trainable variable of a part of a model: where it lies in the part's scope, its shape, how its first
// value is drawn, and what it is for. Each part lists its weights in the order in which it reads them ([DenseWeights],
// [Block.Weights]), without a graph, so that all there is to know of a model's weights is known before it is built.
type Weight struct {
	Part  string // of the scope: "attention/query"; "" is the scope itself
	Kind  string // name of the variable in Part: "weights", "bias", "gain", "offset"; "" where Part is the variable's path
	Shape []int
	Init  Initializer
	Role  Role
}

// Variable returns the weight's variable below scope, which it creates on first use with a value drawn by Init from the
// stream (seed, "init" + path), seed being the store's [ParamSeed]. It panics if the variable exists with another shape.
func (w Weight) Variable(scope *model.Scope) *model.Variable {
	dtype := model.GetParamOr(scope, ParamDType, dtypes.Float32)
	shape := shapes.Make(dtype, w.Shape...)
	path := model.JoinPath(scope.Scope(), w.Part, w.Kind)
	v := scope.Store().GetVariable(path)
	if v == nil {
		values := make([]float64, shape.Size())
		seed := model.GetParamOr(scope, ParamSeed, int64(0))
		w.Init(randstream.New(seed, "init"+path), values, w.Shape)
		var err error
		if v, err = scope.Store().CreateVariable(path, floats(dtype, values, w.Shape)); err != nil {
			panic(err)
		}
		scope.Store().SetParam(model.JoinPath(path, paramRole), w.Role)
	}
	if !v.Shape().Equal(shape) {
		exceptions.Panicf("layers: variable %s has shape %s, asked for %s", path, v.Shape(), shape)
	}
	return v
}

// Node returns the weight in the graph of g; see [Weight.Variable].
func (w Weight) Node(scope *model.Scope, g graph.GraphProvider) *graph.Node {
	return w.Variable(scope).NodeValue(g)
}

// Within returns weights as those of a part that lies in the scope part of another: as scope.In(part) places them.
func Within(part string, weights ...Weight) []Weight {
	placed := slices.Clone(weights)
	for i := range placed {
		placed[i].Part = model.JoinPath(part, placed[i].Part)
	}
	return placed
}

// paramRole is the store parameter, below a variable's path, that has the role of the weight that created the variable.
const paramRole = "weight_role"

// RoleOf returns the role of a variable of store: that of the [Weight] that created it.
func RoleOf(store *model.Store, v *model.Variable) Role {
	return model.GetParamOr(store.Scope(v.Path()), paramRole, roleOf(v.Name()))
}
