// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
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
// those of the graph that [Model.Forward] builds, no more and no less. It is the user's error to ask for a config with
// parts from elsewhere, whose graph is not known, or of a task.
func (c Config) FLOPs(vocab int) (FLOPs, error) {
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
	s := stepSizes{c: c, vocab: vocab, inv: inv, parts: max(1, c.Training.Accumulate)}
	s.rows = c.Training.BatchSize / s.parts
	return s.count(), nil
}

// Matrix products of a forward pass, and with the two of each that the gradient takes.
const (
	forward  = 1
	learning = 3
)

// stepSizes counts one step.
type stepSizes struct {
	c           Config
	vocab       int
	inv         Inventory // of all weights that the step reads
	parts, rows int       // that a step is computed in, and the rows of each
}

func (s stepSizes) count() FLOPs {
	var f FLOPs
	generator := s.inv.HeadOf(OwnerGenerator, HeadGenerator)
	if len(generator) > 0 {
		times := float64(learning)
		frozen := generator[0].Frozen
		if frozen {
			times = forward
		}
		f.Auxiliary, f.Vocabulary = s.trunk(OwnerGenerator, times), times*s.vocabularyHead(generator, s.slots())
		if s.c.Replacements.Dropout == SampleEval && !frozen {
			f.Sampling = s.trunk(OwnerGenerator, forward) + s.vocabularyHead(generator, s.slots())
		}
	}
	for _, length := range s.c.MainRuns() {
		run := s
		run.c.Data.SeqLen = length
		f.Main += run.trunk(OwnerMain, learning)
	}
	contrast := s.inv.HeadOf(OwnerMain, HeadSCL)
	vectors := 2 * float64(s.rows) * dense(contrast)
	all := 2 * float64(s.rows*s.parts)
	detectors := s.inv.HeadOf(OwnerMain, HeadRTD)
	for _, layer := range s.c.ExitLayers() {
		detectors = append(detectors, s.inv.HeadOf(OwnerMain, ExitHead(layer))...)
	}
	f.Heads = learning * (float64(s.c.HeadRuns())*(s.tokens()*dense(detectors)+
		s.vocabularyHead(s.inv.HeadOf(OwnerMain, HeadCLM), s.slots())) +
		s.vocabularyHead(s.inv.HeadOf(OwnerMain, HeadLM), s.predicted()) + vectors)
	if len(contrast) > 0 {
		f.Heads += learning * 2 * all * all * float64(s.c.Main.Width) // each vector by each other
	}
	f.Vectors = s.vectors(generator, learning)
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
	for _, w := range s.inv {
		if !w.Frozen {
			sum += entry.Products(w)
		}
	}
	return sum
}

// firstPass is the pass over one part that only finds out its rows' vectors, which every part is contrasted with.
func (s stepSizes) firstPass(generator Inventory, vectors float64) FLOPs {
	f := FLOPs{Main: 2 * s.trunk(OwnerMain, forward), Heads: vectors, Vectors: s.vectors(generator, forward)}
	if len(generator) > 0 {
		trunk, head := s.trunk(OwnerGenerator, forward), s.vocabularyHead(generator, s.slots())
		if s.c.Replacements.Dropout == SampleEval && !generator[0].Frozen {
			f.Sampling = trunk + head
		} else {
			f.Auxiliary, f.Vocabulary = trunk, head
		}
	}
	return f
}

// vectors are those of all tokens by a byte-pooled embedder, times forward or learning: once for both models, or for each if they do
// not read the same.
func (s stepSizes) vectors(generator Inventory, times float64) float64 {
	pool, ok := s.c.BytePool(s.vocab)
	if !ok {
		return 0
	}
	once := pool.Operations()
	sum := times * once
	if len(generator) > 0 && (s.c.Sharing == SharingNone || s.c.Sharing == SharingGDES) {
		if generator[0].Frozen {
			times = forward
		}
		sum += times * once
	}
	return sum
}

// trunk is one run of a part's rows through an encoder, times forward or learning: its dense maps, its attention, and the
// spreading of its position tables, whose gradient is one product and not two.
func (s stepSizes) trunk(reader Owner, times float64) (sum float64) {
	e, length := s.c.Main, float64(s.c.Data.SeqLen)
	if reader == OwnerGenerator && s.c.Sharing != SharingAll {
		e = s.c.Generator
	}
	weights := s.inv.Of(reader).Encoder().Where(func(w Weight) bool { return !strings.HasPrefix(w.Part, layers.BytePoolPart) })
	inLayers := weights.Where(func(w Weight) bool { return w.Layer >= 0 })
	attention := 4 * float64(s.rows) * length * length * float64(e.Width) * float64(e.Layers)
	maps := func(weights Inventory) float64 { return s.tokens() * dense(weights) }
	lastMaps := maps(inLayers.Where(func(w Weight) bool { return w.Part == "ffn_out" }))
	carried := 0.0 // by the product that takes tokens to their experts, and by that which takes the answers back
	evaluates := reader == OwnerGenerator && times == forward && s.c.Replacements.Dropout == SampleEval
	if r, ok := s.c.Routed(reader, !evaluates); ok {
		maps = func(weights Inventory) float64 { return s.tokens()*dense(weights) + r.Each*ofExperts(weights) }
		carried = 2 * r.Carriers * float64(e.Width) * float64(e.Layers)
		lastMaps = carried
	}
	layersOnce := maps(inLayers) + attention + 2*carried
	sum = times * (maps(weights) + attention + 2*carried)
	if times == learning {
		sum -= carried // who goes where has no gradient
	}
	if times == learning && s.c.Training.ActivationCheckpointing {
		sum += layersOnce
		if e.Norm == NormPre { // what the last map of a layer leaves is only added, so that no gradient asks for it
			sum -= lastMaps
		}
	}
	for _, w := range weights {
		if w.Role == layers.RoleRelative {
			sum += min(times, 2) * 2 * (2*length - 1) * float64(w.Size())
		}
	}
	return sum
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
