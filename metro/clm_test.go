// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// forms in the order of what [corrective] returns.
var forms = []string{metro.CLMSimplified, metro.CLMWeighted, metro.CLMMixture, metro.CLMMixtureFlow, metro.CLMWithoutCopy}

// correction is one form's loss with its slopes by the language model's logits and by the RTD logits.
type correction struct {
	loss         float64
	logits, copy []float64
}

// correctives are what [corrective] has compiled, by backend.
var correctives = map[string]*Exec{}

// corrective evaluates all forms. Inputs: logits, targets, inputs, RTD logits, weights.
func corrective(be compute.Backend) func(args ...any) map[string]correction {
	exec, ok := correctives[be.Name()]
	if !ok {
		exec = MustNewExec(be, func(in []*Node) (out []*Node) {
			for _, form := range forms {
				loss := metro.CorrectiveLoss(form, in[0], in[1], in[2], in[3], in[4])
				out = append(append(out, loss), Gradient(loss, in[0], in[3])...)
			}
			return out
		})
		correctives[be.Name()] = exec
	}
	return func(args ...any) map[string]correction {
		out, byForm := exec.MustCall(args...), map[string]correction{}
		for i, form := range forms {
			byForm[form] = correction{number(out[3*i]), flat(out[3*i+1]), flat(out[3*i+2])}
		}
		return byForm
	}
}

// The language model's logits of the toy batch at its two masked positions, in f64; what stood there and what stands
// there now (the second is unchanged); and the RTD logits there.
var (
	toyLogits  = [][][]float64{{{0, 0, 0, 0, 0, 1, 2, 0}, {0, 0, 0, 0, 0, 0, 0, 3}}}
	toyTargets = [][]int32{{5, 7}}
	toyDetect  = [][]float64{{1, 0.5}}
	bothSlots  = [][]float64{{1, 1}}
	firstSlot  = [][]float64{{1, 0}}
	secondSlot = [][]float64{{0, 1}}
)

// Worked out by hand from the formulas, to six decimals: each slot alone, both, and METRO's total with the generator's
// cross-entropy 1.108045 and RTD 0.355223 of [TestToyBatch].
func TestFormsOnTheToyBatch(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		f := corrective(be)
		first, second := f(toyLogits, toyTargets, toySamples, toyDetect, firstSlot), f(toyLogits, toyTargets, toySamples, toyDetect, secondSlot)
		both := f(toyLogits, toyTargets, toySamples, toyDetect, bothSlots)
		for form, want := range map[string][4]float64{
			metro.CLMSimplified:  {1.779275, 0.299000, 1.039137, 19.908340},
			metro.CLMWithoutCopy: {1.779275, 0.299000, 1.039137, 19.908340},
			metro.CLMWeighted:    {1.300754, 0.186115, 0.743435, 19.612637},
			metro.CLMMixture:     {2.092537, 0.175388, 1.133962, 20.003165},
			metro.CLMMixtureFlow: {2.092537, 0.175388, 1.133962, 20.003165},
		} {
			total := 1.108045 + 50*0.355223 + both[form].loss
			require.InDeltaSlice(t, want[:3], []float64{first[form].loss, second[form].loss, both[form].loss}, 1e-6, form)
			require.InDelta(t, want[3], total, 3e-5, form) // 50 times the rounding of 0.355223
		}
	})
}

// With copying, the probabilities of all tokens still add up to one, whatever the copy probability.
func TestCopyMixtureIsADistribution(t *testing.T) {
	f := corrective(backendtest.Go(t))
	for _, z := range []float64{-30, -2, 0, 0.5, 4, 30} {
		for _, input := range []int32{0, 6} {
			sum := 0.0
			for token := range int32(8) {
				loss := f(toyLogits, [][]int32{{token, token}}, [][]int32{{input, input}}, [][]float64{{z, z}}, firstSlot)[metro.CLMMixture].loss
				sum += math.Exp(-loss)
			}
			require.InDelta(t, 1, sum, 1e-12, "z = %g", z)
		}
	}
}

// Where the model does not copy, the mixture is the cross-entropy; where it surely copies it is 0 at unchanged tokens,
// beyond all bounds at replaced ones, and the weighted form is 0 everywhere. Nothing overflows.
func TestFormsAtTheLimits(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		f := corrective(be)
		for _, big := range []float64{60, 1e4} {
			never, always := [][]float64{{big, big}}, [][]float64{{-big, -big}}
			for _, slot := range [][][]float64{firstSlot, secondSlot} {
				plain := f(toyLogits, toyTargets, toySamples, never, slot)
				for _, form := range forms {
					require.InDelta(t, plain[metro.CLMSimplified].loss, plain[form].loss, 1e-12, form)
				}
				require.InDelta(t, 0, f(toyLogits, toyTargets, toySamples, always, slot)[metro.CLMWeighted].loss, 1e-12)
			}
			require.InDelta(t, 0, f(toyLogits, toyTargets, toySamples, always, secondSlot)[metro.CLMMixture].loss, 1e-12)
			replaced := f(toyLogits, toyTargets, toySamples, always, firstSlot)
			require.InDelta(t, big+1.779275, replaced[metro.CLMMixture].loss, 1e-6)
			for _, c := range replaced {
				require.False(t, math.IsNaN(norm(c.logits)+norm(c.copy)))
			}
		}
	})
}

// Seen from the language model's logits, a replaced slot's mixture is the cross-entropy, whatever the copy probability,
// and an unchanged slot's is r of it, r = (1−p)q/(p+(1−p)q); the weighted form is 1−p of it at both, which is the RTD
// probability σ(z).
func TestSlopesByTheLanguageModel(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		f := corrective(be)
		for i, slot := range [][][]float64{firstSlot, secondSlot} {
			got := f(toyLogits, toyTargets, toySamples, toyDetect, slot)
			plain := got[metro.CLMSimplified].logits
			require.NotZero(t, norm(plain))
			mixture, weighted := []float64{1, 0.550082}[i], []float64{0.731059, 0.622459}[i]
			for form, factor := range map[string]float64{
				metro.CLMMixture: mixture, metro.CLMMixtureFlow: mixture, metro.CLMWeighted: weighted, metro.CLMWithoutCopy: 1,
			} {
				for k := range plain {
					require.InDelta(t, factor*plain[k], got[form].logits[k], 1e-6, form)
				}
			}
		}
	})
}

// The copy probability is an input of three of the forms and learns from the fourth alone.
func TestSlopesByTheCopyProbability(t *testing.T) {
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		f := corrective(be)
		for _, slot := range [][][]float64{firstSlot, secondSlot} {
			for form, c := range f(toyLogits, toyTargets, toySamples, toyDetect, slot) {
				require.Equal(t, form == metro.CLMMixtureFlow, norm(c.copy) != 0, form)
			}
		}
	})
}

func TestUnknownFormPanics(t *testing.T) {
	g := NewGraph(backendtest.Go(t), t.Name())
	defer g.Finalize()
	x := Parameter(g, "x", shapes.Make(dtypes.Float32, 1, 1))
	require.PanicsWithError(t, `metro: there is no form of corrective language modelling "copy"`, func() {
		metro.CorrectiveLoss("copy", nil, nil, nil, nil, x)
	})
}
