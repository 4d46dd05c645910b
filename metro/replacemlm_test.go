// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/metro"
)

func init() {
	// Always draws token 4, [MASK] in these tests.
	metro.RegisterSource("test_mask", 1, func(p *metro.Pass) *Node {
		slots := p.Batch.Positions.Shape()
		logits := []float32{0, 0, 0, 0, 1e4, 0, 0, 0, 0, 0, 0}
		return BroadcastPrefix(Const(p.Batch.Positions.Graph(), logits), slots.Dim(0), slots.Dim(1))
	})
}

// Replace MLM is MLM on rows that show samples where MLM shows [MASK]: with a source that draws [MASK] it is MLM.
func TestReplaceMLMOfMasksIsMLM(t *testing.T) {
	b := smallBatch()
	plain, _ := lmParts(t, small(t, "objective.name=mlm"), b)
	masks, _ := lmParts(t, small(t, "objective.name=replace_mlm", "replacements.source=test_mask"), b)
	require.Equal(t, plain, masks)

	samples, logits := lmParts(t, small(t, "objective.name=replace_mlm", "replacements.source=uniform"), b)
	require.NotEqual(t, plain, samples)
	sum := negativeLogLikelihood(logits[0][0], 5) + negativeLogLikelihood(logits[0][1], 7) + negativeLogLikelihood(logits[1][0], 10)
	require.InDelta(t, sum/3, samples, 1e-12)
}
