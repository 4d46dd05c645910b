// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/data"
)

// Flooding bends the mean over all of the batch, so that it has to know all of it.
func init() {
	metro.AddObjective(metro.ObjectiveEntry{
		Part: metro.Part{Name: "test_flooded", Version: 1}, Samples: true, InParts: true,
		Build: func(p *metro.Pass) []metro.Term {
			counted := ConvertDType(p.NonPad, p.RTDLogits().DType())
			sum := func(x *Node) *Node { return ReduceAllSum(p.Gather(ReduceSum(x, -1))) } // of x, [b, S]
			loss := Div(sum(Mul(metro.RTDLosses(p.RTDLogits(), p.Replaced()), counted)), sum(counted))
			return []metro.Term{{Name: "rtd", Loss: AddScalar(Abs(AddScalar(loss, -0.8)), 0.8)}}
		},
	})
	metro.RegisterObjective("test_not_in_parts", 1, func(p *metro.Pass) []metro.Term {
		return []metro.Term{{Name: "rtd", Loss: metro.RTDLoss(p.RTDLogits(), p.Replaced(), p.NonPad)}}
	})
}

// unequalBatch has rows of unlike lengths, with unlike numbers of masked positions.
func unequalBatch(c metro.Config) data.Batch {
	b := randomBatch(c, vocab, 3)
	s, slots := c.Data.SeqLen, c.MaskedPositions()
	for row := range c.Training.BatchSize {
		length := s - row*s/(c.Training.BatchSize+1)
		clear(b.Tokens[row*s+length : (row+1)*s])
		clear(b.Masked[row*s+length : (row+1)*s])
		b.Rows[row] = float32(row) / 8
		for k := row * slots; k < (row+1)*slots; k++ {
			if int(b.Positions[k]) >= length || (k-row*slots)*c.Training.BatchSize >= slots*(row+1) {
				b.Positions[k], b.Weights[k] = 0, 0
			}
		}
	}
	return b
}

// Whatever the objective, the number of parts that a step is computed in changes neither its losses nor its gradient, with
// dropout, on rows of unlike lengths with unlike numbers of masked positions. The first moments are the gradient.
func TestPartsOfAStepAreTheStep(t *testing.T) {
	var settings []string
	for _, name := range metro.Choices()["objective.name"] {
		if isOurs(name) || name == "test_flooded" {
			settings = append(settings, "objective.name="+name)
		}
	}
	for _, form := range metro.Choices()["objective.clm"] {
		settings = append(settings, "objective.clm="+form)
	}
	backendtest.ForEach(t, func(t *testing.T, be compute.Backend) {
		parts := []int{2, 4}
		if kind(be) != "go" { // it compiles for long, and computes the same graphs
			settings, parts = []string{"objective.name=rtd_clm_scl"}, parts[:1]
		}
		for _, setting := range settings {
			t.Run(setting, func(t *testing.T) {
				step := func(accumulate int) (map[string]float64, float64, map[string][]float32) {
					c := assigned(t, "training.batch_size=4", "data.seq_len=12", "evaluation.rows=4", "main.dropout=0.1", "generator.dropout=0.1", "replacements.dropout=train", "objective.rtd_zero_init=false",
						"optimizer.clip_norm=0", "main.layers=2", fmt.Sprint("training.accumulate=", accumulate), setting)
					p := started(t, be, c)
					out, err := p.Step(unequalBatch(c), 1)
					require.NoError(t, err)
					tally, norm, err := out.Tally()
					require.NoError(t, err)
					moments := variables(t, p)
					for path := range moments {
						if !strings.HasPrefix(path, "/adamw/m/") {
							delete(moments, path)
						}
					}
					evaluation, err := p.Validate(unequalBatch(c))
					require.NoError(t, err)
					validation, _, err := evaluation.Tally()
					require.NoError(t, err)
					metrics := tally.Metrics()
					for name, x := range validation.Metrics() {
						metrics["val_"+name] = x
					}
					return metrics, norm, moments
				}
				want, norm, gradient := step(1)
				for _, k := range parts {
					got, gotNorm, gotGradient := step(k)
					require.Len(t, got, len(want))
					for name, x := range want {
						require.True(t, math.Abs(x-got[name]) <= 2e-5*max(1, math.Abs(x)) || x != x && got[name] != got[name],
							"%s is %g in one part and %g in %d", name, x, got[name], k)
					}
					require.InEpsilon(t, norm, gotNorm, 2e-5, "the norm of the gradient in %d parts", k)
					largest := 0.0
					for _, g := range gradient {
						for _, x := range g {
							largest = max(largest, math.Abs(float64(x)))
						}
					}
					distance, path := furthest(t, gradient, gotGradient)
					require.Less(t, distance, 2e-5*largest, "the gradient of %s in %d parts", path, k)
				}
			})
		}
	})
}

// A loss of which nothing is known is not computed in parts.
func TestPartsAreRefusedWhereTheLossMayChange(t *testing.T) {
	c := assigned(t, "objective.name=test_not_in_parts")
	c.Training.Accumulate = 2
	err := c.Validate()
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, `training.accumulate=2: objective "test_not_in_parts"`)
	require.True(t, slices.Contains(metro.Choices()["objective.name"], "test_not_in_parts"))
}
