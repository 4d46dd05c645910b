// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

func init() { // where the detector is sure, which it is nowhere while it starts at 0
	metro.RegisterObjective("test_confident", 1, func(p *metro.Pass) []metro.Term {
		sure := And(p.NonPad, GreaterThan(Abs(p.RTDLogits()), Scalar(p.NonPad.Graph(), dtypes.Float32, 0.01)))
		loss := metro.RTDLoss(p.RTDLogits(), p.Replaced(), sure)
		return append(p.GeneratorTerms(), metro.Term{Name: "rtd", Loss: loss, Weight: p.Scalars.RTDWeight})
	})
}

// A term that trains nothing at the first step is said, by its name; one that does is not.
func TestATermThatTrainsNothingIsSaid(t *testing.T) {
	var said bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	defer slog.SetDefault(before)
	r := runner(t, backendtest.Go(t))
	for zero, want := range map[string]bool{"true": true, "false": false} {
		said.Reset()
		c := assigned(t, "objective.name=test_confident", "objective.rtd_zero_init="+zero, "training.steps=2", "optimizer.warmup_steps=0")
		_, err := r.Run(t.Context(), "run", c, nil)
		require.NoError(t, err)
		require.Equal(t, want, bytes.Contains(said.Bytes(), []byte(`rtd\" is exactly 0 at step 1`)), said.String())
		require.NotContains(t, said.String(), "generator")
	}
}
