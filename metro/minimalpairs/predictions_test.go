// SPDX-License-Identifier: Apache-2.0

package minimalpairs_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/minimalpairs"
)

// The form is that of evaluation_pipeline/sentence_zero_shot/compute_results.py of BabyLM's pipeline of 2025, which
// calculate_results_from_pred.py counts: a prediction is right that is the good sentence.
func TestPredictionsOfBabyLM(t *testing.T) {
	set := &minimalpairs.Set{Paradigms: []minimalpairs.Paradigm{
		{Name: "adjunct_island", Pairs: []minimalpairs.Pair{{Good: "a", Bad: "b"}, {Good: "c", Bad: "d"}, {Good: "e", Bad: "f"}}},
	}}
	written, err := json.Marshal(minimalpairs.Predict(set, minimalpairs.Outcomes{{minimalpairs.Right, minimalpairs.Wrong, minimalpairs.Tie}}))
	require.NoError(t, err)
	require.Equal(t, `{"adjunct_island":{"predictions":[{"id":"adjunct_island_0","pred":"a"},{"id":"adjunct_island_1","pred":"d"},{"id":"adjunct_island_2","pred":"e"}]}}`, string(written))
}
