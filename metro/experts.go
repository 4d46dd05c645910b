// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/layers/moe"
)

// FeedForwardExperts is a value of Encoder.FeedForward: a mixture of experts, [moe.FeedForward], in every layer of the model, each
// of them as wide inside as the dense map (ffn). Its options say how tokens find their experts, and what the losses weigh that keep
// the gate in order; see the entry below.
const FeedForwardExperts = "moe"

// expertsEntry has what is published as its neutral values where there is agreement: one expert a token and the weight of the
// balance loss are Switch's (Fedus et al., 2021), as are 1.25 times the slots in training and 2 times in evaluation; at least 4
// slots are DeepSpeed-MoE's. That slots belong to a row each is ours: work grows with the tokens that share slots, squared, and a
// step in parts is that of the whole batch.
//
// In evaluation every row has slots of its own whatever group_rows is, so that what a model says of a row depends on no other.
var expertsEntry = FeedForwardEntry{
	Part{Name: FeedForwardExperts, Version: 1, Options: []Option{
		{Name: "experts", Neutral: 4, Low: 1, High: 4096, Help: "maps of a layer, E"},
		{Name: "top_k", Neutral: 1, Low: 1, High: 2, Help: "experts that a token chooses"},
		{Name: "whole", Neutral: false, Help: "an expert's answer counts whole, not by its probability; of top_k=1, with gates that learn by their losses alone"},
		{Name: "capacity", Neutral: 1.25, Low: 0, High: 4096, Help: "slots of all experts in training, as a multiple of what tokens choose; 0 is enough for all"},
		{Name: "evaluation_capacity", Neutral: 2.0, Low: 0, High: 4096, Help: "the same in evaluation"},
		{Name: "min_capacity", Neutral: 4, Low: 0, High: 1 << 20, Help: "slots that an expert has at least"},
		{Name: "group_rows", Neutral: 1, Low: 0, High: 1 << 20, Help: "rows that share slots in training; 0 is all that are computed at once"},
		{Name: "random_selection", Neutral: false, Help: "in training, a lot decides who finds a slot, not who comes first"},
		{Name: "random_second", Neutral: false, Help: "in training, second choices are drawn by their probabilities; of top_k=2"},
		{Name: "jitter", Neutral: 0.0, Low: 0, High: 0.99, Help: "in training, what the gate reads is multiplied by numbers from 1 ± jitter"},
		{Name: balanceWeight, Neutral: 0.01, Class: ClassInput, Low: 0, High: 1e6, Help: "of the balance loss, for each layer"},
		{Name: zWeight, Neutral: 0.0, Class: ClassInput, Low: 0, High: 1e6, Help: "of the z-loss, for each layer; 0.001 in ST-MoE"},
	}},
	func(b layers.Block, option func(string) any) layers.FeedForward {
		return moe.FeedForward{
			Router: moe.Router{
				Experts: option("experts").(int), Choices: option("top_k").(int), Whole: option("whole").(bool),
				TrainingCapacity: option("capacity").(float64), EvaluationCapacity: option("evaluation_capacity").(float64),
				MinCapacity: option("min_capacity").(int), GroupRows: option("group_rows").(int), EvaluationRows: 1,
				RandomSelection: option("random_selection").(bool), RandomSecond: option("random_second").(bool), Jitter: option("jitter").(float64),
			},
			Inner: b.FFN, Activation: b.Activation, Init: b.Init, InitOutput: b.InitResidual,
		}
	},
}

// The options that weigh the losses of experts.
const (
	balanceWeight = "balance_weight"
	zWeight       = "z_weight"
)

// expertsOptions is the path of the options of a model's feed-forward map.
func expertsOptions(reader Owner) string { return string(reader) + ".feed_forward_options." }

// WeighsExperts reports whether path is that of the weight of a loss of a model's experts, and which model's.
func WeighsExperts(path string) (reader Owner, ok bool) {
	for _, reader := range []Owner{OwnerMain, OwnerGenerator} {
		if name, ok := strings.CutPrefix(path, expertsOptions(reader)); ok && (name == balanceWeight || name == zWeight) {
			return reader, true
		}
	}
	return "", false
}

// Experts returns the map of experts of one of the models; false if it has another. Its router's numbers are those of the config.
func (c Config) Experts(reader Owner) (moe.FeedForward, bool) {
	if _, ok := feedForwards.find(cmp.Or(c.encoderOf(reader).FeedForward, FeedForwardDense)); !ok {
		return moe.FeedForward{}, false
	}
	experts, ok := c.block(reader).FeedForward.(moe.FeedForward)
	return experts, ok
}

// ExpertsOf returns the map of experts that w is a weight of, the first axis of which counts experts; false if it belongs to none.
func (c Config) ExpertsOf(w Weight) (moe.FeedForward, bool) {
	if w.Layer < 0 || w.Part != "ffn_in" && w.Part != "ffn_out" {
		return moe.FeedForward{}, false
	}
	if w.ByMain {
		return c.Experts(OwnerMain)
	}
	return c.Experts(OwnerGenerator)
}

// Active returns how many of weights take part in what becomes of one token: all but those of experts that it does not choose.
func (c Config) Active(weights Inventory) (n int) {
	for _, w := range weights {
		size := w.Size()
		if f, ok := c.ExpertsOf(w); ok {
			size = size / f.Router.Experts * f.Router.Choices
		}
		n += size
	}
	return n
}

// MainLoads runs the main model as [Model.MainStates] does, in evaluation, and returns how its tokens spread over experts: for each
// layer the shares [E] of all choices of real tokens. It panics if the main model has no experts.
func (m Model) MainLoads(scope *model.Scope, tokens, nonPad, biasScale *Node) (loads []*Node) {
	if _, ok := m.Config.Experts(OwnerMain); !ok {
		exceptions.Panicf("metro: main.feed_forward=%s has no experts", m.Config.Main.FeedForward)
	}
	m.routed = func(_ Owner, routing moe.Routing) { loads = append(loads, routing.Load) }
	m.MainStates(scope, tokens, nonPad, biasScale, nil)
	return loads
}

// readers are the models that have routed tokens to experts, and what the names of their losses and metrics begin with.
var readers = []struct {
	reader Owner
	prefix string
}{{OwnerMain, ""}, {OwnerGenerator, "generator_"}}

// expertsTerms are the losses of the gates, a mean over all layers of all runs through a model, so that a balance loss of 1 is even
// whatever the depth. Each layer counts with the weight of the config, as in Switch, so that the mean's is as many times that.
func (p *Pass) expertsTerms() (terms []Term) {
	for _, r := range readers {
		routing := p.routing[r.reader]
		add := func(name, option string, pick func(moe.Routing) *Node) {
			if weight, ok := p.Scalars.Options[expertsOptions(r.reader)+option]; ok && len(routing) > 0 {
				terms = append(terms, Term{r.prefix + name, meanOf(routing, pick), MulScalar(weight, float64(len(routing)))})
			}
		}
		add("balance", balanceWeight, func(r moe.Routing) *Node { return r.Balance })
		add("gate_z", zWeight, func(r moe.Routing) *Node { return r.ZLoss })
	}
	return terms
}

// expertsMeasures are what there is to watch of experts. Loads are those of what is computed at once, of which records are means.
func (p *Pass) expertsMeasures() (list []measure) {
	one := OnesLike(p.Loss)
	for _, r := range readers {
		routing := p.routing[r.reader]
		if len(routing) == 0 {
			continue
		}
		list = append(list,
			measure{r.prefix + "dropped_share", meanOf(routing, func(r moe.Routing) *Node { return Mul(r.Dropped, r.Choices) }),
				meanOf(routing, func(r moe.Routing) *Node { return r.Choices })},
			measure{r.prefix + "load_entropy", meanOf(routing, func(r moe.Routing) *Node { return r.LoadEntropy }), one},
			measure{r.prefix + "largest_load", meanOf(routing, func(r moe.Routing) *Node { return r.LargestLoad }), one},
			measure{r.prefix + "expert_divergence", meanOf(routing, func(r moe.Routing) *Node { return r.Divergence }), one})
	}
	return list
}

func meanOf(routing []moe.Routing, pick func(moe.Routing) *Node) *Node {
	sum := pick(routing[0])
	for _, r := range routing[1:] {
		sum = Add(sum, pick(r))
	}
	return MulScalar(sum, 1/float64(len(routing)))
}

// experts checks the settings of experts that must go together with others.
func (v *validation) experts(c Config, reader Owner) {
	f, ok := c.Experts(reader)
	if !ok {
		return
	}
	path, rows := expertsOptions(reader), c.Training.BatchSize/max(1, c.Training.Accumulate)
	switch r := f.Router; {
	case r.Choices > r.Experts:
		v.bad("%stop_k=%d needs as many experts at least, and %sexperts is %d", path, r.Choices, path, r.Experts)
	case r.RandomSecond && r.Choices < 2:
		v.bad("%srandom_second is about second choices; it needs %stop_k=2, which is %d", path, path, r.Choices)
	case r.Whole && r.Choices > 1:
		v.bad("%swhole is about single choices; the weights of two add up to 1 anyway, and %stop_k is %d", path, path, r.Choices)
	case r.GroupRows == 0 && c.Training.Accumulate > 1:
		v.bad("training.accumulate=%d: with %sgroup_rows=0 all rows of a part share slots, so that a step in parts is another one; set %sgroup_rows to 1 or more, or training.accumulate=1",
			c.Training.Accumulate, path, path)
	case r.GroupRows > 0 && rows%r.GroupRows != 0:
		v.bad("%sgroup_rows must divide the %d rows that are computed at once (training.batch_size=%d in training.accumulate=%d parts), it is %d",
			path, rows, c.Training.BatchSize, c.Training.Accumulate, r.GroupRows)
	}
}

// CheckFeedForward reports whether there is a feed-forward map of that name, "" being the dense one, and such options of it. What
// is wrong is the user's error, in words that begin with feed_forward.
func CheckFeedForward(name string, options Options) error {
	entry, ok := feedForwards.find(cmp.Or(name, FeedForwardDense))
	if !ok {
		return usererr.New("feed_forward is %.40q; %q are known", name, feedForwards.names())
	}
	s := slot{kind: "feed_forward", options: "feed_forward_options", name: entry.Name, part: entry.Part, values: &options}
	for _, name := range s.given() {
		option, err := s.option(name)
		if err != nil {
			return err
		}
		if _, err := option.parse(fmt.Sprint(options.values()[name])); err != nil {
			return usererr.New("%s.%s %w", s.options, name, err)
		}
	}
	c := Config{Main: Encoder{FeedForward: entry.Name, FeedForwardOptions: options}}
	if f, ok := c.Experts(OwnerMain); ok && f.Router.Choices > f.Router.Experts {
		return usererr.New("feed_forward_options.top_k=%d needs as many experts at least, and there are %d", f.Router.Choices, f.Router.Experts)
	}
	return nil
}

// Routed are the sizes of what a layer of experts computes for the rows of one part of a step.
type Routed struct {
	Each     float64 // slots of an expert, those of all groups together
	All      float64 // of all experts
	Carriers float64 // numbers of one of the two tensors that carry tokens to slots and back
}

// Routed returns the sizes of the layers of one of the models, in training or in evaluation; false if it has no experts.
func (c Config) Routed(reader Owner, training bool) (r Routed, ok bool) {
	f, ok := c.Experts(reader)
	if !ok {
		return r, false
	}
	rows, group := c.Training.BatchSize/max(1, c.Training.Accumulate), f.Router.GroupRows
	if !training {
		group = f.Router.EvaluationRows
	}
	if group == 0 {
		group = rows
	}
	capacity := float64(f.Router.Capacity(group*c.Data.SeqLen, training))
	r.Each = float64(rows) / float64(group) * capacity
	r.All = r.Each * float64(f.Router.Experts)
	r.Carriers = float64(rows*c.Data.SeqLen) * float64(f.Router.Experts) * capacity
	return r, true
}
