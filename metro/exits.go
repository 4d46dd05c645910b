// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/usererr"
	"metrolab/layers"
)

// objectiveExits is [rtdCLM] with RTD heads below the last layer too, so that a token can be decided on before the last layer
// ([Model.DetectEarly]). Adaptive early exit is the subject of arXiv 2110.06620, of which the abstract alone was read: all of the
// mechanism here, heads, weights, confidence and what becomes of a state that has left, is ours.
const objectiveExits = "rtd_clm_exits"

// The options that are inputs of the graph.
const (
	exitsWeight = "early_weight"
	exitsPower  = "power"
)

// everyLayer is the value of the option layers for a head at every layer.
const everyLayer = "all"

var exitsPart = Part{Name: objectiveExits, Version: 1, Options: []Option{
	{Name: "layers", Neutral: everyLayer, Help: "numbers of the layers below the last that have an RTD head, such as 1,2; the last always has one"},
	{Name: exitsWeight, Neutral: 1.0, Class: ClassInput, Low: 0, High: 1e6, Help: "of the lower heads' losses against the last one's; 0 trains the last alone. All weights add up to objective.rtd_weight"},
	{Name: exitsPower, Neutral: 1.0, Class: ClassInput, Low: 0, High: 8, Help: "the weight of the head at layer l of n is (l/n)^power: 0 is equal weights, 1 in proportion to depth"},
}}

// exitsTrained is the [ObjectiveEntry.Heads] of the objective.
func exitsTrained(c Config) []string {
	names := corrective()(c)
	for _, layer := range c.ExitLayers() {
		names = append(names, ExitHead(layer))
	}
	return names
}

// rtdCLMExits is [rtdCLM] with the weight of RTD, W, divided among the heads at layers l < n and at the last, n:
//
//	w_l = W·r_l / Σ r,  r_l = early_weight·(l/n)^power,  r_n = 1
//
// The lower heads are one term, the mean of their losses by (l/n)^power. Where early_weight is 0 the last head has all of W, and what
// is trained is rtd_clm, whose heads the lower ones stand beside.
func rtdCLMExits(p *Pass) []Term {
	terms := rtdCLM(p)
	sum, losses := p.exitLosses()
	early := Mul(p.Input("objective.options."+exitsWeight), sum)
	all := OnePlus(early)
	for i := range terms {
		if terms[i].Name == "rtd" {
			terms[i].Weight = Div(terms[i].Weight, all)
		}
	}
	return append(terms, Term{"early_rtd", Div(losses, sum), Mul(p.Scalars.RTDWeight, Div(early, all))})
}

// exitLosses are Σ (l/n)^power over the lower heads, and the sum of their RTD losses by these weights.
func (p *Pass) exitLosses() (sum, losses *Node) {
	c, power := p.Model.Config, p.Input("objective.options."+exitsPower)
	for _, layer := range c.ExitLayers() {
		share := Exp(MulScalar(power, math.Log(float64(layer)/float64(c.Main.Layers))))
		loss := Mul(share, p.Mean(RTDLosses(p.exitLogits(layer), p.Replaced()), p.NonPad))
		if sum == nil {
			sum, losses = share, loss
			continue
		}
		sum, losses = Add(sum, share), Add(losses, loss)
	}
	return sum, losses
}

// exitLogits are those of the head at a layer below the last, [B, S].
func (p *Pass) exitLogits(layer int) *Node {
	return p.once(fmt.Sprintf("RTDLogits_%d", layer), func() *Node { return p.Model.exitLogits(p.scope, layer, p.Layers()[layer]) })
}

// exitLogits gives one logit a token, [B, S], of the head at a layer on states after it, [B, S, H]; that of the last is
// [Model.RTDHead]'s.
func (m Model) exitLogits(scope *model.Scope, layer int, states *Node) *Node {
	if layer == m.Config.Main.Layers {
		return m.RTDHead(scope, states)
	}
	return RTDLogits(scope.At("main").At("%s", ExitHead(layer)), m.Config.Main, states, m.Config.Objective.RTDHead, m.Config.Objective.RTDZeroInit)
}

// ExitHead is the name of the RTD head at a layer below the last: its [Place.Head].
func ExitHead(layer int) string { return HeadRTD + "_" + strconv.Itoa(layer) }

// ExitLayers lists the layers below the last that have an RTD head of their own, counted from 1, in their order: none but in
// pretraining by objective.name=rtd_clm_exits.
func (c Config) ExitLayers() []int {
	exits, _ := c.exitLayers()
	return exits
}

func (c Config) exitLayers() (exits []int, err error) {
	if c.Objective.Name != objectiveExits || c.Task.Name != "" {
		return nil, nil
	}
	given := exitsPart.reads(c.Objective.Options)("layers").(string)
	if given == everyLayer {
		for layer := 1; layer < min(c.Main.Layers, mostLayers+1); layer++ {
			exits = append(exits, layer)
		}
		return exits, nil
	}
	for text := range strings.SplitSeq(given, ",") {
		layer, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || layer < 1 || layer >= c.Main.Layers || slices.Contains(exits, layer) {
			return nil, usererr.New("objective.options.layers must be %q, or different layers below the last, from 1 to %d, with commas between; it is %.40q", everyLayer, c.Main.Layers-1, given)
		}
		exits = append(exits, layer)
	}
	slices.Sort(exits)
	return exits, nil
}

// WithExits returns c with RTD heads at layers below the last, as the option layers has them: "1,2". Layers that main.layers has not
// are the user's error.
func (c Config) WithExits(at string) (Config, error) {
	c.Objective.Name, c.Objective.Options = objectiveExits, Options{}.with(exitsPart.Options[0], at)
	_, err := c.exitLayers()
	return c, err
}

// exits checks the settings of heads below the last layer.
func (v *validation) exits(c Config) {
	if c.Objective.Name != objectiveExits {
		return
	}
	switch _, err := c.exitLayers(); {
	case c.Main.Layers < 2:
		v.bad("objective.name=%s puts RTD heads below the last layer, and main.layers=%d has none below; set main.layers to 2 or more, or objective.name=rtd_clm", objectiveExits, c.Main.Layers)
	case err != nil:
		v.problems = append(v.problems, err)
	}
	if c.Objective.CLM == CLMWithoutCopy {
		v.bad("objective.name=%s is about RTD heads, and objective.clm=%s trains none; set objective.clm=%s", objectiveExits, CLMWithoutCopy, CLMSimplified)
	}
}

// exitHeads are the heads of [Config.ExitLayers].
func (c Config) exitHeads() (list []head) {
	for _, layer := range c.ExitLayers() {
		list = append(list, head{OwnerMain, ExitHead(layer), func(c Config, _ int) []layers.Weight {
			return rtdHeadWeights(c.Main, c.Objective.RTDHead, c.Objective.RTDZeroInit)
		}})
	}
	return list
}

// DetectAtHeads scores every token of rows that are corrupted already by each RTD head, those of [Config.ExitLayers] and then the last
// layer's, [B, S] each. No token leaves early. The last are those of [Model.Detect].
func (m Model) DetectAtHeads(scope *model.Scope, corrupted, biasScale *Node) (logits []*Node) {
	m.needExits()
	scope = m.prepare(scope)
	states := m.MainLayers(scope, corrupted, m.nonPad(corrupted), biasScale, nil)
	for _, layer := range append(m.Config.ExitLayers(), m.Config.Main.Layers) {
		logits = append(logits, m.exitLogits(scope, layer, states[layer]))
	}
	return logits
}

// Exits is a run through the main model that tokens may leave before its last layer, as far as it has come.
type Exits struct {
	States *Node // [B, S, H] after the layers so far, those of a token that has left being those with which it left
	Logits *Node // [B, S] of the RTD head at which a token has left or, of all others, of the last head so far
	Depth  *Node // [B, S] int32, how many layers the token had gone through there
	Left   *Node // [B, S] bool
}

// DetectEarly scores every token of rows that are corrupted already, [B, S], as [Model.Detect] does, but lets a token leave at the
// first RTD head that is sure enough of it: at which max(p, 1−p) ≥ threshold, p being the probability that it was replaced. Its
// state is copied upwards from there, where the others go on reading it. What has not left before has the last layer's logits.
//
// At a threshold above 1 nothing leaves, and the logits are those of Detect; at 0.5 or less every token leaves at the first head.
// Shapes are static, so that no operation is saved: what is saved by tokens that leave is theoretical. To stop with the layer after
// which enough have left, run the parts of [Model.DetectEarlyPart]. It panics where the config has no heads below the last layer.
func (m Model) DetectEarly(scope *model.Scope, corrupted, biasScale, threshold *Node) Exits {
	parts := m.EarlyParts()
	var at Exits
	for part := range parts {
		at = m.DetectEarlyPart(scope, corrupted, biasScale, threshold, part, at)
	}
	return at
}

// EarlyParts lists the layers that the parts of a run with early exits end with: those with a head.
func (m Model) EarlyParts() []int {
	m.needExits()
	return append(m.Config.ExitLayers(), m.Config.Main.Layers)
}

// DetectEarlyPart is a part of [Model.DetectEarly], from what the part before it has left, at, up to the next layer with a head: the
// layer EarlyParts()[part]. The first, part 0, reads nothing of at. Whoever stops behind a part has a logit for every token.
func (m Model) DetectEarlyPart(scope *model.Scope, corrupted, biasScale, threshold *Node, part int, at Exits) Exits {
	ends := m.EarlyParts()
	scope = m.prepare(scope)
	g, c, first := corrupted.Graph(), m.Config, 0
	x, dtype := at.States, biasScale.DType()
	if part == 0 {
		x, _ = m.embed(scope, OwnerMain, m.mainTables(scope, corrupted), corrupted, nil, nil)
		shape := corrupted.Shape().Dimensions
		at.Logits, at.Depth = Zeros(g, shapes.Make(dtype, shape...)), Zeros(g, shapes.Make(dtypes.Int32, shape...))
		at.Left = BroadcastToShape(Const(g, false), shapes.Make(dtypes.Bool, shape...))
	} else {
		first = ends[part-1]
		x = ConvertDType(x, c.activationDType(dtype))
	}
	biases, block := m.layersOn(scope, OwnerMain, ConvertDType(x, dtype), corrupted, m.nonPad(corrupted), biasScale)
	body, end := m.body(scope, OwnerMain), ends[part]
	for i := first; i < end; i++ {
		next := layers.EncoderLayer(body, i, x, biases, nil, block)
		x = Where(BroadcastToShape(InsertAxes(at.Left, -1), x.Shape()), x, next)
	}
	read := x
	if end == c.Main.Layers {
		read = layers.EncoderOutput(body, x, block)
	}
	at.States = ConvertDType(x, dtype)
	logits := m.exitLogits(scope, end, ConvertDType(read, dtype))
	sure := GreaterOrEqual(Sigmoid(Abs(logits)), ConvertDType(threshold, dtype))
	at.Logits = Where(at.Left, at.Logits, logits)
	at.Depth = Where(at.Left, at.Depth, Scalar(g, dtypes.Int32, end))
	at.Left = LogicalOr(at.Left, sure)
	return at
}

// needExits panics where the config has no heads below the last layer.
func (m Model) needExits() {
	if len(m.Config.ExitLayers()) == 0 {
		exceptions.Panicf("metro: objective.name=%s has no RTD heads below the last layer, at which tokens could leave; objective.name=%s has", m.Config.Objective.Name, objectiveExits)
	}
}
