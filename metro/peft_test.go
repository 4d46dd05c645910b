// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/layers"
	"metrolab/metro"
)

// peftStates are what a BERT of waves makes of two rows, by transformers 5.24.0, and with LoRA and a prompt by peft 0.21.2:
// scripts/parity/adaptations.py.
var peftStates = map[string][][]float32{
	"model": {
		{0.556747, -0.813275, -1.526103, -1.427181, -0.773498, 0.215915, 1.343343, 2.075821},
		{0.652959, -0.736687, -1.482727, -1.441712, -0.837505, 0.134587, 1.302912, 2.128923},
		{0.565105, -0.778905, -1.472711, -1.421667, -0.822327, 0.154979, 1.330763, 2.132288},
		{-0.335737, -1.351542, -1.622411, -1.120643, -0.196671, 0.781978, 1.452166, 1.488552},
		{0.670857, -0.731640, -1.492320, -1.446979, -0.834800, 0.138769, 1.300092, 2.119063},
		{0.815612, -0.724940, -1.597188, -1.482757, -0.774192, 0.198412, 1.258024, 2.029197},
		{-1.200629, -0.112340, 0.613949, 0.713456, 0.520839, 0.217646, -0.409305, -1.321508},
		{0.747090, -0.796278, -1.633238, -1.464462, -0.719394, 0.258920, 1.281066, 1.994024},
		{0.554378, 1.327507, 1.124829, 0.269677, -0.467046, -0.843005, -0.966937, -0.879410},
	},
	"lora": {
		{0.220281, -1.028489, -1.539685, -1.319885, -0.635898, 0.344622, 1.422755, 2.018747},
		{0.305839, -0.980638, -1.524947, -1.338612, -0.680764, 0.288761, 1.395191, 2.068882},
		{0.286628, -0.988532, -1.518624, -1.332496, -0.679515, 0.289848, 1.399433, 2.071323},
		{-0.365375, -1.347871, -1.595213, -1.117673, -0.222418, 0.760107, 1.467585, 1.523301},
		{0.294690, -0.986384, -1.527248, -1.336070, -0.675496, 0.295804, 1.400250, 2.061529},
		{0.424632, -1.025856, -1.653841, -1.345903, -0.583535, 0.364995, 1.353863, 1.970569},
		{-0.661923, 0.381115, 0.818755, 0.665300, 0.334453, -0.050584, -0.704223, -1.463684},
		{0.391285, -1.044694, -1.675119, -1.351202, -0.547802, 0.423249, 1.366813, 1.908900},
		{1.330416, 1.581514, 0.869384, -0.170183, -0.841066, -1.042440, -0.883283, -0.375263},
	},
	"prompt": {
		{0.642227, -0.715856, -1.493164, -1.465566, -0.835970, 0.169283, 1.328032, 2.082392},
		{2.057074, 1.529982, 0.204771, -0.906331, -1.263026, -1.025381, -0.400696, 0.529841},
		{2.054412, 1.534449, 0.216436, -0.894244, -1.255861, -1.027137, -0.414737, 0.511534},
		{-1.659836, -0.846010, 0.066402, 0.547404, 0.711064, 0.641897, 0.097758, -0.885556},
		{2.065095, 1.507709, 0.154231, -0.963001, -1.297425, -1.012726, -0.333296, 0.610126},
		{0.168815, -1.147469, -1.656598, -1.283299, -0.472754, 0.493299, 1.412175, 1.859149},
		{-1.723683, -1.021036, -0.105298, 0.475239, 0.712799, 0.725248, 0.275883, -0.728916},
		{-0.453835, -1.464674, -1.594408, -0.997207, -0.142126, 0.747735, 1.437267, 1.512643},
		{0.533718, 1.317991, 1.129236, 0.279949, -0.458683, -0.838732, -0.966406, -0.886065},
	},
}

// The states are those of peft with the same weights: of the model itself, with maps of low rank, and with a prompt.
func TestAdaptationsArePefts(t *testing.T) {
	for name, settings := range map[string][]string{
		"model": {"task.adaptation="}, "lora": {"task.adaptation=lora", "task.adaptation_options.rank=2", "task.adaptation_options.alpha=3"},
		"prompt": {"task.adaptation=prompt", "task.adaptation_options.tokens=2"},
	} {
		m := small(t, append([]string{
			"data.seq_len=5", "main.activation=gelu", "positions.absolute=false", "positions.relative=none", "task.name=families", "training.init_from=a",
		}, settings...)...)
		store := model.NewStore()
		body, beside := metro.Describe(m.Config, m.Vocab).Of(metro.OwnerMain).Encoder(), metro.Describe(m.Config, m.Vocab).HeadOf(metro.OwnerMain, metro.HeadAdapter)
		for p, w := range body {
			require.NoError(t, wave(store, w, p))
		}
		first := 100
		if name == "prompt" {
			first = 200
		}
		for p, w := range beside {
			require.NoError(t, wave(store, w, first+p))
		}
		exec, err := model.NewExec(backendtest.Go(t), store, func(scope *model.Scope, in []*Node) *Node {
			return m.MainStates(scope, in[0], NotEqual(in[0], ZerosLike(in[0])), Scalar(in[0].Graph(), dtypes.Float32, 1.0), nil)
		})
		require.NoError(t, err)
		out, err := exec.Call([][]int32{{2, 5, 6, 7, 3}, {2, 9, 10, 3, 0}})
		require.NoError(t, err)
		states := tensors.MustCopyFlatData[float32](out[0])
		for i, want := range peftStates[name] {
			require.InDeltaSlice(t, want, states[8*i:8*i+8], 2e-5, "%s, token %d", name, i)
		}
		exec.Finalize()
	}
}

// wave makes the variable of a weight: 0.4·sin(p + 0.7·i), and of a gain 1 and half of that.
func wave(store *model.Store, w metro.Weight, p int) error {
	values := make([]float32, w.Size())
	for i := range values {
		x := 0.4 * math.Sin(float64(p)+0.7*float64(i))
		if w.Role == layers.RoleNorm && w.Kind == "gain" {
			x = 1 + 0.5*x
		}
		values[i] = float32(x)
	}
	_, err := store.CreateVariable(w.Path(), tensors.FromFlatDataAndDimensions(values, w.Shape...))
	return err
}
