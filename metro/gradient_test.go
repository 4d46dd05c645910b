// SPDX-License-Identifier: Apache-2.0

package metro_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/metro"
)

// switches are parts of the recipe that change what is differentiated, on the default objective.
var switches = []string{
	"objective.generator_head=norm objective.rtd_head=linear",
	"positions.per_layer=true",
	"positions.relative=t5",
	"positions.relative=t5 positions.per_layer=true",
	"positions.relative=none",
	"positions.relative=none positions.absolute=false",
	"positions.rows=12",
	"main.norm=pre generator.norm=pre",
	"main.activation=relu generator.activation=relu",
	"main.init=t5 generator.init=truncated main.init_scale=depth",
	"embeddings.width=5 embeddings.token_types=2",
	"embeddings.width=5 embeddings.token_types=2 positions.rows=9 sharing=gdes",
	"sharing=none",
	"sharing=token",
	"sharing=token_position",
	"sharing=token_position_norm embeddings.token_types=2",
	"sharing=all generator.size=same generator.activation=gelu_tanh generator.epsilon=1e-6",
	"sharing=gdes",
	"replacements.source=unigram",
	"replacements.source=uniform",
	"replacements.temperature=2 replacements.disallow_correct=true",
	"masking.with_replacement=true",
	"masking.with_replacement=true masking.electra_collisions=true",
	"training.activation_checkpointing=true",
	"main.dropout=0.3 generator.dropout=0.3 replacements.dropout=train",
	"main.dropout=0.3 generator.dropout=0.3 replacements.dropout=eval objective.name=rtd_clm_scl",
	"main.dropout=0.3 embeddings.token_types=2 positions.rows=16 objective.name=rtd_clm_mist objective.options.form=mix objective.options.targets=shuffled objective.options.weight=3",
}

// Every gradient of every objective, and of the default one under every switch, against differences in f64.
func TestGradients(t *testing.T) {
	for _, o := range everyObjective {
		t.Run(o.set, func(t *testing.T) { checkGradients(t, small(t, strings.Fields(o.set)...)) })
	}
	for _, set := range switches {
		t.Run(set, func(t *testing.T) { checkGradients(t, small(t, strings.Fields(set)...)) })
	}
}

// checkGradients compares, for each variable, the slope of the loss in one random direction, in which all its elements
// move, with the central difference. Where the model stops a gradient the difference is taken with what lies behind
// held still: the copy probability of two forms of CLM, and the generator's tables under GDES, which only its own term
// sees move. The samples do not move with the weights: the steps are far smaller than the distance of any noise to the
// next step of the distribution.
func checkGradients(t *testing.T, m metro.Model) {
	be := backendtest.Go(t)
	store := shaken(be, m)
	b := smallBatch()
	if m.Config.Masking.WithReplacement {
		b.positions[0] = []int32{3, 3}
	}
	key := []uint64{1, 2, 3}
	loss, slopes := analytic(be, store, m, b, key)
	held := call(be, store, m, b, func(p *metro.Pass) []*Node { return []*Node{detections(p)} }, key...)[0]
	exec := model.MustNewExec(be, store, func(scope *model.Scope, in []*Node) []*Node {
		p := forward(m, scope, in[:7])
		generator := ZerosLike(p.Loss)
		if p.Terms[0].Name == "generator" {
			generator = Mul(p.Terms[0].Weight, p.Terms[0].Loss)
		}
		return []*Node{withHeld(p, in[7]), generator}
	})
	defer exec.Finalize()
	at := func() (total, generator float64) {
		out := exec.MustCall(append(b.args(), key, held)...)
		return number(out[0]), number(out[1])
	}
	unmoved, _ := at()
	require.InDelta(t, loss, unmoved, 1e-12)

	const h = 1e-5
	rng := rand.New(rand.NewPCG(7, 8))
	for _, v := range variables(store) {
		values, direction := flat(v.MustValue()), make([]float64, v.Shape().Size())
		want := 0.0
		for i := range direction {
			direction[i] = rng.NormFloat64()
			want += direction[i] * slopes[v.Path()][i]
		}
		move := func(by float64) (total, generator float64) {
			moved := make([]float64, len(values))
			for i, x := range values {
				moved[i] = x + by*direction[i]
			}
			setValue(v, moved)
			return at()
		}
		above, generatorAbove := move(h)
		below, generatorBelow := move(-h)
		if m.Config.Sharing == metro.SharingGDES && strings.HasPrefix(v.Path(), "/shared/") {
			above, below = generatorAbove, generatorBelow
		}
		setValue(v, values)
		numeric := (above - below) / (2 * h)
		require.InDelta(t, numeric, want, 1e-6*max(1, math.Abs(numeric), norm(slopes[v.Path()])), v.Path())
	}
}

func analytic(be compute.Backend, store *model.Store, m metro.Model, b batch, key []uint64) (float64, map[string][]float64) {
	all := variables(store)
	out := call(be, store, m, b, func(p *metro.Pass) []*Node {
		values := make([]*Node, len(all))
		for i, v := range all {
			values[i] = v.NodeValue(p.Loss.Graph())
		}
		return append([]*Node{p.Loss}, Gradient(p.Loss, values...)...)
	}, key...)
	slopes := map[string][]float64{}
	for i, v := range all {
		slopes[v.Path()] = flat(out[1+i])
	}
	return number(out[0]), slopes
}

// detections are the RTD logits at the masked positions, zeros if the objective has none.
func detections(p *metro.Pass) *Node {
	if p.Built("RTDLogits") == nil {
		return ZerosLike(p.Batch.Weights)
	}
	return p.AtPositions(p.RTDLogits())
}

// withHeld is the pass's loss with the RTD logits that corrective language modelling reads held at given values, if it
// stops their gradient.
func withHeld(p *metro.Pass, held *Node) *Node {
	form := p.Model.Config.Objective.CLM
	if p.Built("CLMLogits") == nil || form != metro.CLMWeighted && form != metro.CLMMixture {
		return p.Loss
	}
	clm := metro.CorrectiveLoss(form, p.CLMLogits(), p.Originals(), p.AtPositions(p.Corrupted()), held, p.Batch.Weights)
	return Add(p.Loss, Mul(p.Scalars.CLMWeight, Sub(clm, term("clm")(p))))
}
