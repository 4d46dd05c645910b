// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/layers"
)

// FLOPs are the floating-point operations of one training step, in its parts: those of its matrix products, forward, for
// the gradient and in the optimizer, a multiplication and an addition counting as two. What is computed element by element is not
// counted.
type FLOPs struct {
	Auxiliary  float64 `json:"auxiliary_trunk"`    // the generator's layers
	Vocabulary float64 `json:"vocabulary_product"` // the generator's head at the masked positions, most of it a product with the token table
	Sampling   float64 `json:"sampling"`           // a second run through the generator without dropout; 0 where the samples come from the first
	Main       float64 `json:"main_trunk"`         // the main model's layers, for every run through them
	Heads      float64 `json:"heads"`              // all heads of the main model
	Optimizer  float64 `json:"optimizer"`          // products of an optimizer's own: Muon's
	Vectors    float64 `json:"vectors,omitzero"`   // the vectors of all tokens, where they are computed: of a byte-pooled embedder
}

// FLOPsPart is one of the parts of [FLOPs].
type FLOPsPart struct {
	Name  string
	Value float64
}

// Parts lists the parts.
func (f FLOPs) Parts() []FLOPsPart {
	return []FLOPsPart{
		{"auxiliary trunk", f.Auxiliary}, {"vocabulary product", f.Vocabulary}, {"sampling", f.Sampling},
		{"main trunk", f.Main}, {"heads", f.Heads}, {"optimizer", f.Optimizer}, {"token vectors", f.Vectors},
	}
}

// Total is the sum of the parts.
func (f FLOPs) Total() (sum float64) {
	for _, part := range f.Parts() {
		sum += part.Value
	}
	return sum
}

// FLOPs counts the operations of one training step of c over vocab tokens from its sizes and the inventory of its weights alone:
// those of the graph that [Model.Forward] builds, no more and no less. A step of training.prefix_steps takes fewer; see
// [Config.StepFLOPs]. It is the user's error to ask for a config with parts from elsewhere, whose graph is not known, or of a task.
func (c Config) FLOPs(vocab int) (FLOPs, error) { return c.flopsOf(0, vocab) }

// StepFLOPs is [Config.FLOPs] of a step, 1 … steps, with the prefix that it trains.
func (c Config) StepFLOPs(vocab, step int) (FLOPs, error) { return c.flopsOf(c.PrefixAt(step), vocab) }

// RunFLOPs is what the first steps of a run take together, those of training.prefix_steps with the prefixes that its seed draws.
func (c Config) RunFLOPs(vocab, steps int) (sum float64, err error) {
	first := min(steps, c.firstStage())
	drawn := map[int]int{0: steps - first}
	for step := 1; step <= first; step++ {
		drawn[c.PrefixAt(step)]++
	}
	for _, d := range slices.Sorted(maps.Keys(drawn)) {
		one, err := c.flopsOf(d, vocab)
		if err != nil {
			return 0, err
		}
		sum += float64(drawn[d]) * one.Total()
	}
	return sum, nil
}

// PrefixFLOPs is what a step of training.prefix_steps takes before its prefix is drawn: the mean over all of them.
func (c Config) PrefixFLOPs(vocab int) (mean float64, err error) {
	depths := c.Prefixes()
	for _, d := range depths {
		one, err := c.flopsOf(d, vocab)
		if err != nil {
			return 0, err
		}
		mean += one.Total() / float64(len(depths))
	}
	return mean, nil
}

// flopsOf is [Config.FLOPs] of a step on the prefix of d layers, 0 being the whole model.
func (c Config) flopsOf(d, vocab int) (FLOPs, error) {
	inv, complete := c.Inventory(vocab)
	foreign := !feedForwards.ships(cmp.Or(c.Main.FeedForward, FeedForwardDense)) ||
		!feedForwards.ships(cmp.Or(c.Generator.FeedForward, FeedForwardDense)) ||
		!embedders.ships(cmp.Or(c.Embeddings.Kind, EmbedderTable))
	switch c.Positions.Relative {
	case "", RelativeNone, RelativeSignedLog, RelativeT5:
	default:
		foreign = true
	}
	if !complete || foreign {
		return FLOPs{}, usererr.New("the floating-point operations of this config cannot be counted: it trains a task, or has parts that metrolab does not ship")
	}
	s := stepSizes{c: c, vocab: vocab, inv: inv, moved: inv.Learning().ByPath(), parts: max(1, c.Training.Accumulate)}
	if d > 0 {
		s.c, s.moved = c.Prefix(d), c.MovedWith(d, inv).Learning().ByPath()
		s.inv, _ = s.c.Inventory(vocab)
	}
	s.rows = c.Training.BatchSize / s.parts
	return s.count(), nil
}

// learning is how often a product is computed whose factors both have a gradient.
const learning = 3

// stepSizes counts one step.
type stepSizes struct {
	c           Config
	vocab       int
	inv         Inventory         // of all weights that the step reads
	moved       map[string]Weight // by path, those of them that it moves
	parts, rows int               // that a step is computed in, and the rows of each
}

// moves reports whether a step moves w.
func (s stepSizes) moves(w Weight) bool { _, ok := s.moved[w.Path()]; return ok }

func (s stepSizes) count() FLOPs {
	var f FLOPs
	generator := s.inv.HeadOf(OwnerGenerator, HeadGenerator)
	if len(generator) > 0 {
		f.Auxiliary, f.Vocabulary = s.trunk(OwnerGenerator), s.learningHead(OwnerGenerator, generator, s.slots())
		if s.c.Replacements.Dropout == SampleEval && !generator[0].Frozen {
			f.Sampling = s.reading(OwnerGenerator) + s.vocabularyHead(generator, s.slots())
		}
	}
	for _, length := range s.c.MainRuns() {
		run := s
		run.c.Data.SeqLen = length
		f.Main += run.trunk(OwnerMain)
	}
	contrast := s.inv.HeadOf(OwnerMain, HeadSCL)
	vectors := 2 * float64(s.rows) * dense(contrast)
	all := 2 * float64(s.rows*s.parts)
	detectors := s.inv.HeadOf(OwnerMain, HeadRTD)
	for _, layer := range s.c.ExitLayers() {
		detectors = append(detectors, s.inv.HeadOf(OwnerMain, ExitHead(layer))...)
	}
	f.Heads = float64(s.c.HeadRuns())*(learning*s.tokens()*dense(detectors)+
		s.learningHead(OwnerMain, s.inv.HeadOf(OwnerMain, HeadCLM), s.slots())) +
		s.learningHead(OwnerMain, s.inv.HeadOf(OwnerMain, HeadLM), s.predicted()) + learning*vectors
	if len(contrast) > 0 {
		f.Heads += learning * 2 * all * all * float64(s.c.Main.Width) // each vector by each other
	}
	f.Vectors = s.vectors(generator)
	f = f.times(float64(s.parts))
	if s.parts > 1 && len(contrast) > 0 {
		f = f.plus(s.firstPass(generator, vectors).times(float64(s.parts)))
	}
	f.Optimizer = s.optimizer() // once a step, in however many parts it is computed
	return f
}

// optimizer is what the optimizer multiplies to move the weights that learn.
func (s stepSizes) optimizer() (sum float64) {
	entry, _ := OptimizerNamed(cmp.Or(s.c.Optimizer.Name, OptimizerAdamW))
	if entry.Products == nil {
		return 0
	}
	for _, w := range s.moved {
		sum += entry.Products(w)
	}
	return sum
}

// firstPass is the pass over one part that only finds out its rows' vectors, which every part is contrasted with.
func (s stepSizes) firstPass(generator Inventory, vectors float64) FLOPs {
	f := FLOPs{Main: 2 * s.reading(OwnerMain), Heads: vectors, Vectors: s.resting().vectors(generator)}
	if len(generator) > 0 {
		trunk, head := s.reading(OwnerGenerator), s.vocabularyHead(generator, s.slots())
		if s.c.Replacements.Dropout == SampleEval && !generator[0].Frozen {
			f.Sampling = trunk + head
		} else {
			f.Auxiliary, f.Vocabulary = trunk, head
		}
	}
	return f
}

// vectors are those of all tokens by a byte-pooled embedder: once for both models, or for each if they do not read the same.
func (s stepSizes) vectors(generator Inventory) (sum float64) {
	pool, ok := s.c.BytePool(s.vocab)
	if !ok {
		return 0
	}
	readers := []Owner{OwnerMain}
	if len(generator) > 0 && (s.c.Sharing == SharingNone || s.c.Sharing == SharingGDES) {
		readers = append(readers, OwnerGenerator)
	}
	for _, reader := range readers {
		moves := s.movesTable(reader)
		sum += passes(moves, moves) * pool.Operations()
	}
	return sum
}

// reading is one run of a part's rows through an encoder without a gradient.
func (s stepSizes) reading(reader Owner) float64 { return s.resting().trunk(reader) }

// resting is s where nothing moves.
func (s stepSizes) resting() stepSizes {
	s.moved = nil
	return s
}

// trunk is one run of a part's rows through an encoder: what is before the layers, the layers, and the spreading of the tables of
// relative positions, whose gradient is one product and not two. The gradient goes down as far as something moves.
func (s stepSizes) trunk(reader Owner) (sum float64) {
	weights := s.inv.Of(reader).Encoder().Where(func(w Weight) bool { return !strings.HasPrefix(w.Part, layers.BytePoolPart) })
	l := layerSizes{stepSizes: s, Encoder: s.c.Main}
	if reader == OwnerGenerator && s.c.Sharing != SharingAll {
		l.Encoder = s.c.Generator
	}
	draws := reader == OwnerGenerator && s.c.Replacements.Dropout == SampleEval && !slices.ContainsFunc(weights, s.moves)
	l.routed, l.routes = s.c.Routed(reader, !draws)
	inLayers := make([]Inventory, l.Layers)
	var projection Inventory
	asks := false // whether something below asks for a gradient
	for _, w := range weights {
		if w.Role == layers.RoleRelative {
			sum += passes(s.moves(w)) * 2 * (2*float64(s.c.Data.SeqLen) - 1) * float64(w.Size())
		}
		switch {
		case w.Layer >= 0:
			inLayers[w.Layer] = append(inLayers[w.Layer], w)
		case w.Role == layers.RoleDense:
			projection = append(projection, w)
		case w.Depth == 0 && (w.Role == layers.RoleTable || w.Role == layers.RoleNorm):
			asks = asks || s.moves(w)
		}
	}
	moves := slices.ContainsFunc(projection, s.moves)
	sum += passes(moves, asks) * s.tokens() * dense(projection)
	asks = asks || moves
	for _, its := range inLayers {
		moves := slices.ContainsFunc(its, s.moves)
		sum += l.products(its, moves || asks, asks)
		asks = asks || moves
	}
	return sum
}

// layerSizes counts one layer of an encoder.
type layerSizes struct {
	stepSizes
	Encoder
	routed Routed
	routes bool // it has experts
}

// products are those of one run through a layer of some weights, which has a gradient or not, and whose input asks for one or not.
func (l layerSizes) products(its Inventory, learns, asks bool) (sum float64) {
	length := float64(l.c.Data.SeqLen)
	last := l.maps(its.Where(func(w Weight) bool { return w.Part == "ffn_out" }))
	carried := 0.0 // by the product that takes tokens to their experts, and by that which takes the answers back
	if l.routes {
		carried = 2 * l.routed.Carriers * float64(l.Width)
		last = carried
	}
	once := l.maps(its) + 4*float64(l.rows)*length*length*float64(l.Width) + 2*carried
	if !learns {
		return once
	}
	sum = learning*once - carried // who goes where has no gradient
	if !asks && l.Norm == NormPost {
		for _, w := range its { // what reads the input as it is, in this layer alone
			if w.Role == layers.RoleDense && slices.Contains([]string{"attention/query", "attention/key", "attention/value"}, w.Part) {
				sum -= l.tokens() * 2 * float64(w.Size())
			}
		}
	}
	if l.c.Training.ActivationCheckpointing {
		sum += once
		if l.Norm == NormPre { // what the last map of a layer leaves is only added, so that no gradient asks for it
			sum -= last
		}
	}
	return sum
}

// maps are the products of the dense maps among weights of a layer, without a gradient.
func (l layerSizes) maps(its Inventory) float64 {
	return l.tokens()*dense(its) + l.routed.Each*ofExperts(its)
}

// passes is how often a product is computed: forward, and for each of its factors that has a gradient.
func passes(gradients ...bool) float64 {
	n := 1.0
	for _, has := range gradients {
		if has {
			n++
		}
	}
	return n
}

// learningHead is [stepSizes.vocabularyHead] with the gradients of what moves.
func (s stepSizes) learningHead(reader Owner, head Inventory, positions float64) float64 {
	moves := slices.ContainsFunc(head, s.moves)
	whole, own := s.vocabularyHead(head, positions), positions*dense(head)
	return passes(moves, moves)*own + passes(moves, s.movesTable(reader))*(whole-own)
}

// movesTable reports whether a step moves the vectors of tokens that a model reads.
func (s stepSizes) movesTable(reader Owner) bool {
	embedder := s.c.embedder(s.vocab).Weights()
	return slices.ContainsFunc(s.inv.Of(reader), func(w Weight) bool {
		return w.Layer < 0 && s.moves(w) && slices.ContainsFunc(embedder, func(e layers.Weight) bool { return w.Part == e.Part || w.Part == differencePart(e.Part) })
	})
}

// vocabularyHead is one run of positions through a head that ends in a product with the token table; 0 if there is none.
func (s stepSizes) vocabularyHead(head Inventory, positions float64) float64 {
	if len(head) == 0 {
		return 0
	}
	return positions * (dense(head) + 2*float64(s.vocab)*float64(s.c.EmbeddingWidth()))
}

// tokens and slots are the numbers of positions, and of masked ones, of a part; predicted is that of the full language modelling
// head.
func (s stepSizes) tokens() float64 { return float64(s.rows * s.c.Data.SeqLen) }
func (s stepSizes) slots() float64  { return float64(s.rows * s.c.MaskedPositions()) }
func (s stepSizes) predicted() float64 {
	if s.c.Objective.Name == "all_token_lm" {
		return s.tokens()
	}
	return s.slots()
}

// dense is the operations a position of the dense maps among weights, gates included; ofExperts is those a slot of every expert.
func dense(weights Inventory) float64     { return products(weights, 2) }
func ofExperts(weights Inventory) float64 { return products(weights, 3) }

// products counts those of weights of so many axes.
func products(weights Inventory, axes int) (sum float64) {
	for _, w := range weights {
		if (w.Role == layers.RoleDense || w.Role == layers.RoleGate) && len(w.Shape) == axes {
			sum += 2 * float64(w.Size()*(1+w.Again))
		}
	}
	return sum
}

func (f FLOPs) plus(g FLOPs) FLOPs {
	return FLOPs{f.Auxiliary + g.Auxiliary, f.Vocabulary + g.Vocabulary, f.Sampling + g.Sampling, f.Main + g.Main, f.Heads + g.Heads, f.Optimizer + g.Optimizer, f.Vectors + g.Vectors}
}

func (f FLOPs) times(n float64) FLOPs {
	return FLOPs{f.Auxiliary * n, f.Vocabulary * n, f.Sampling * n, f.Main * n, f.Heads * n, f.Optimizer * n, f.Vectors * n}
}
