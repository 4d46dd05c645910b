// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// Owner is in whose scope a weight lies.
type Owner string

// The owners of a model's weights. A weight of the main model may be one that both models read (see [Config.Sharing]).
const (
	OwnerShared    Owner = "shared"
	OwnerMain      Owner = "main"
	OwnerGenerator Owner = "generator"
)

// The heads of this package: [Place.Head].
const (
	HeadGenerator = "head" // of the generator, whose only one it is; the others are the main model's
	HeadRTD       = "rtd"
	HeadCLM       = "clm"
	HeadLM        = "lm"
	HeadSCL       = "scl"
	HeadAdapter   = "adapter" // what task.adaptation puts beside the main model's weights; it reads no states, and is a head to all else
)

// Place is what a weight is to a model that reads it, whatever is shared: a weight of the generator and one of the main model
// that have the same place are counterparts.
type Place struct {
	Head  string // "" for the encoder
	Layer int    // −1 outside the layers
	Part  string // "token_embedding", "embedding_norm", "attention/query", "ffn_in", …
	Kind  string // "weights", "bias", "gain", "offset"; "" where the part is one tensor
}

// Weight is one trainable variable of a [Model], with all that is to be known of it before the model is built.
type Weight struct {
	Owner Owner // "" for a head outside both models' scopes, such as a task's
	Place
	Shape []int
	Init  layers.Initializer
	Role  layers.Role
	Depth int // 0 embeddings, i+1 layer i, n+1 heads of an encoder of n layers; what follows the last layer, and what layers share, has n
	Again int // how many layers read it after the one that it lies in; see [Encoder.LayerSharing]

	ByMain, ByGenerator bool // which models read it
	Frozen              bool // it never learns: a frozen generator's, or one that task.adaptation leaves as it is
	Difference          bool // what the main model adds to a shared table; see [Disentangle]
}

// Path returns the path of the weight's variable: "/main/layer_0/attention/query/weights".
func (w Weight) Path() string { return model.JoinPath(w.scope(), w.Part, w.Kind) }

// Tensor returns the weight's name in checkpoints, which is its path with dots: "main.layer_0.attention.query.weights".
func (w Weight) Tensor() string {
	return strings.ReplaceAll(w.Path()[1:], "/", ".")
}

// Size returns the number of elements.
func (w Weight) Size() int {
	n := 1
	for _, d := range w.Shape {
		n *= d
	}
	return n
}

// scope is that of the weight's Part.
func (w Weight) scope() string {
	layer := ""
	if w.Layer >= 0 {
		layer = layers.LayerName(w.Layer)
	}
	return model.JoinPath("/", string(w.Owner), w.Head, layer)
}

// spec is the weight as the layer that reads it knows it.
func (w Weight) spec() layers.Weight {
	return layers.Weight{Part: w.Part, Kind: w.Kind, Shape: w.Shape, Init: w.Init, Role: w.Role}
}

// Inventory lists weights, each once.
type Inventory []Weight

// Describe lists every weight that c has a shape for over vocab tokens: both models and all heads of this package, whether or
// not its objective builds them. A generator of width 0 has none. It is what to look a trained model's weights up in, where
// the file says which of them there are.
func Describe(c Config, vocab int) Inventory {
	var inv Inventory
	known := map[string]int{}
	add := func(w Weight, reader Owner) {
		i, ok := known[w.Path()]
		if !ok {
			i = len(inv)
			known[w.Path()] = i
			inv = append(inv, w)
		}
		inv[i].ByMain = inv[i].ByMain || reader == OwnerMain
		inv[i].ByGenerator = inv[i].ByGenerator || reader == OwnerGenerator
	}
	for _, reader := range []Owner{OwnerMain, OwnerGenerator} {
		if reader == OwnerGenerator && c.Generator.Width == 0 {
			continue
		}
		for _, w := range c.encoderWeights(reader, vocab) {
			add(w, reader)
		}
		for _, h := range c.heads() {
			if h.owner == reader {
				for _, w := range h.inventory(c, vocab) {
					add(w, reader)
				}
			}
		}
	}
	for _, w := range c.adapterWeights() {
		add(w, OwnerMain)
	}
	for i, w := range inv {
		inv[i].Frozen = c.source().Generator == GeneratorFrozen && w.Owner == OwnerGenerator || c.leaves(w)
	}
	return inv
}

// Inventory lists the weights that pretraining c reads over vocab tokens, whose variables a checkpoint of it holds. It knows
// the parts of this package; what an objective, a source or a metric from elsewhere reads, or a task, only the graph can say
// (see [Model.ReadBy]), so that for them complete is false, and the list is [Describe]'s.
func (c Config) Inventory(vocab int) (inv Inventory, complete bool) {
	inv = Describe(c, vocab)
	foreign := func(metric string) bool { return !metrics.ships(metric) }
	if c.Task.Name != "" || !objectives.ships(c.Objective.Name) || !sources.ships(c.Replacements.Source) ||
		slices.ContainsFunc(c.Evaluation.metrics(), foreign) {
		return inv, false
	}
	objective := c.objective()
	trained, generator := objective.Heads(c), objective.Samples && c.source().Generator != GeneratorUnused
	return inv.Where(func(w Weight) bool {
		return w.ByMain && (w.Head == "" || slices.Contains(trained, w.Head)) || w.ByGenerator && generator
	}), true
}

// ReadBy lists the weights of store that the graph g reads: those that [Describe] knows, and then, sorted by path, all
// others, each as a head of the main model: those of a [Pass.Head] under its name, the rest named after their scope.
func (m Model) ReadBy(g *Graph, store *model.Store) Inventory {
	described := Describe(m.Config, m.Vocab).ByPath()
	var inv, others Inventory
	for v := range store.IterVariables() {
		if _, ok := described[v.Path()]; !ok && v.InUseByGraph(g) {
			others = append(others, m.headWeight(store, v))
		}
	}
	for _, w := range Describe(m.Config, m.Vocab) {
		if v := store.GetVariable(w.Path()); v != nil && v.InUseByGraph(g) {
			inv = append(inv, w)
		}
	}
	slices.SortFunc(others, func(a, b Weight) int { return cmp.Compare(a.Path(), b.Path()) })
	return append(inv, others...)
}

// Fill creates the inventory's variables in store, with first values drawn as the layers that read them would draw them; see
// [layers.Weight].
func (inv Inventory) Fill(store *model.Store) {
	for _, w := range inv {
		w.spec().Variable(store.Scope(w.scope()))
	}
}

// Where returns the weights that keep accepts.
func (inv Inventory) Where(keep func(Weight) bool) Inventory {
	var kept Inventory
	for _, w := range inv {
		if keep(w) {
			kept = append(kept, w)
		}
	}
	return kept
}

// Of returns what the main model (OwnerMain) or the generator (OwnerGenerator) reads, shared weights included.
func (inv Inventory) Of(reader Owner) Inventory {
	return inv.Where(func(w Weight) bool {
		return reader == OwnerMain && w.ByMain || reader == OwnerGenerator && w.ByGenerator
	})
}

// Encoder returns the weights that belong to no head.
func (inv Inventory) Encoder() Inventory {
	return inv.Where(func(w Weight) bool { return w.Head == "" })
}

// HeadOf returns the weights of one head of the main model or of the generator.
func (inv Inventory) HeadOf(owner Owner, name string) Inventory {
	return inv.Where(func(w Weight) bool { return w.Owner == owner && w.Head == name })
}

// Learning returns the weights that are trained: all but frozen ones.
func (inv Inventory) Learning() Inventory {
	return inv.Where(func(w Weight) bool { return !w.Frozen })
}

// ByPath returns the weights by their paths.
func (inv Inventory) ByPath() map[string]Weight {
	byPath := make(map[string]Weight, len(inv))
	for _, w := range inv {
		byPath[w.Path()] = w
	}
	return byPath
}

// ByPlace returns the weights of one model (see [Inventory.Of]) by their places. It panics if two have the same, as those of
// two models may.
func (inv Inventory) ByPlace() map[Place]Weight {
	byPlace := make(map[Place]Weight, len(inv))
	for _, w := range inv {
		if other, ok := byPlace[w.Place]; ok {
			panic(fmt.Sprintf("metro: %s and %s have the same place; ask for one model's weights", other.Path(), w.Path()))
		}
		byPlace[w.Place] = w
	}
	return byPlace
}

// DifferenceOf returns the weight that the main model adds to w under gradient-disentangled sharing.
func (inv Inventory) DifferenceOf(w Weight) (difference Weight, ok bool) {
	place := w.Place
	place.Part = differencePart(place.Part)
	i := slices.IndexFunc(inv, func(d Weight) bool { return d.Difference && d.Place == place })
	if i < 0 {
		return Weight{}, false
	}
	return inv[i], true
}

// Count returns the number of elements of all weights.
func (inv Inventory) Count() int {
	n := 0
	for _, w := range inv {
		n += w.Size()
	}
	return n
}

// Bytes returns the memory of all weights, which are float32.
func (inv Inventory) Bytes() int { return 4 * inv.Count() }

// VocabSize returns V, the number of tokens of a trained model of config c, from the shapes of its tensors: the rows of its
// token table, the first weight that has a row a token. It is 0 if shape does not know that one.
func VocabSize(c Config, shape func(tensor string) (dims []int, ok bool)) int {
	one, two := Describe(c, 1), Describe(c, 2)
	for i, w := range one {
		if len(w.Shape) > 0 && w.Shape[0] != two[i].Shape[0] {
			dims, ok := shape(w.Tensor())
			if !ok || len(dims) == 0 {
				return 0
			}
			return dims[0]
		}
	}
	return 0
}
