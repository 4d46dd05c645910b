// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro/data"
	"metrolab/metro/runs"
)

// exitThresholds are those at which a model with RTD heads below its last layer is measured: its tokens leave at the first head that is
// as sure. Since few tokens are replaced, a head that says *original* of everything is about 0.85 sure, so that what is less decides
// little.
var exitThresholds = []float32{0.90, 0.95, 0.99}

// measureExits measures early exits on a frozen set: the AUC of what tokens leave with, how deep replaced and original ones go, and how
// well each head is calibrated there. It measures nothing of a model whose tokens cannot leave early.
func (w *Pretraining) measureExits(p *Program, set data.Frozen, metrics runs.Values) error {
	c := w.model.Config
	if len(c.ExitLayers()) == 0 {
		return nil
	}
	heads, err := w.over(p, set.Corrupted, "detect at heads", func(scope *model.Scope, in []*Node) []*Node {
		return p.model.DetectAtHeads(scope, in[0], in[1])
	})
	if err != nil {
		return err
	}
	for i, layer := range append(c.ExitLayers(), c.Main.Layers) {
		name := "frozen_ece"
		if layer < c.Main.Layers {
			name = fmt.Sprintf("frozen_ece_%d", layer)
		}
		metrics[name] = CalibrationError(set.Answers(heads[i]))
	}
	for _, threshold := range exitThresholds {
		out, err := w.over(p, set.Corrupted, "detect early", func(scope *model.Scope, in []*Node) []*Node {
			early := p.model.DetectEarly(scope, in[0], in[1], in[2])
			return []*Node{early.Logits, ConvertDType(early.Depth, dtypes.Float32)}
		}, tensors.FromScalar(threshold))
		if err != nil {
			return err
		}
		name := func(what string) string { return fmt.Sprintf("frozen_early_%s_%.0f", what, 100*threshold) }
		metrics[name("auc")] = AUC(set.Answers(out[0]))
		depths, replaced := set.Answers(out[1])
		var sums, counts [2]float64 // of original and of replaced tokens
		for i, depth := range depths {
			of := 0
			if replaced[i] {
				of = 1
			}
			sums[of], counts[of] = sums[of]+float64(depth), counts[of]+1
		}
		metrics[name("depth")] = (sums[0] + sums[1]) / (counts[0] + counts[1])
		metrics[name("depth_original")], metrics[name("depth_replaced")] = sums[0]/counts[0], sums[1]/counts[1]
	}
	return nil
}

// calibrationBins is the number of bins of [CalibrationError].
const calibrationBins = 10

// CalibrationError is the expected calibration error of logits: tokens are sorted into ten bins of equal width by the probability of
// being positive, σ(logit), and the mean over tokens is taken of how far, in a bin, the mean probability is from the part that is
// positive (Naeini et al., 2015, of the positive class). NaN where there are no logits, or one is NaN.
func CalibrationError(logits []float32, positive []bool) float64 {
	var sums, hits [calibrationBins]float64
	for i, z := range logits {
		p := 1 / (1 + math.Exp(-float64(z)))
		if math.IsNaN(p) {
			return p
		}
		bin := min(int(p*calibrationBins), calibrationBins-1)
		sums[bin] += p
		if positive[i] {
			hits[bin]++
		}
	}
	apart := 0.0
	for bin := range sums {
		apart += math.Abs(sums[bin] - hits[bin])
	}
	return apart / float64(len(logits))
}
