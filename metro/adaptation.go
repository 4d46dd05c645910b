// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// Values of Task.Adaptation: what learns in a fine-tuning beside the task's head, which always does. All other weights stay as they
// are, and no gradient and no optimizer's state is built for them. Options of each are task.adaptation_options.NAME.
const (
	AdaptationFull      = ""          // every weight
	AdaptationHead      = "head"      // none: a linear head
	AdaptationNorms     = "norms"     // gains and offsets of the layer normalisations
	AdaptationBias      = "bias"      // biases and offsets: BitFit (Ben Zaken et al., 2022)
	AdaptationLoRA      = "lora"      // maps of low rank beside attention's (Hu et al., 2021)
	AdaptationPrompt    = "prompt"    // slots in front of the tokens (Lester et al., 2021)
	AdaptationConnector = "connector" // the generator's states as one more token (eP-ALM; Shukor et al., 2023)
)

// adaptation is one of them.
type adaptation struct {
	Part
	learns  func(w Weight) bool                                   // which weights of the main model do; nil for none
	weights func(c Config, option func(name string) any) []Weight // beside the model's; nil for none
	prompt  func(a *adapting) *Node                               // [K, E], embeddings of slots in front of the tokens; nil for none
	layer   func(a *adapting, layer int) layers.Adapter           // nil for none
	check   func(v *validation, c Config, option func(name string) any)
}

var adaptations = newRegistry[adaptation]("adaptation")

func init() { // a connector's graph is a model's, which looks here
	for _, a := range []adaptation{
		{Part: Part{Name: AdaptationHead, Version: 1}},
		{Part: Part{Name: AdaptationNorms, Version: 1}, learns: func(w Weight) bool { return w.Role == layers.RoleNorm }},
		{Part: Part{Name: AdaptationBias, Version: 1}, learns: func(w Weight) bool { return w.Role == layers.RoleBias || w.Kind == "offset" }},
		loraAdaptation, promptAdaptation, connectorAdaptation,
	} {
		adaptations.add(a)
	}
}

// adaptation is what a fine-tuning's config names; false where every weight learns, or nothing is fine-tuned.
func (c Config) adaptation() (a adaptation, option func(name string) any, ok bool) {
	if c.Task.Name == "" {
		return a, nil, false
	}
	a, ok = adaptations.find(c.Task.Adaptation)
	return a, a.reads(c.Task.AdaptationOptions), ok
}

// Adapter names the adaptation that has put weights beside those of the main model, without which it is another model; "" for none.
func (c Config) Adapter() string {
	if a, _, ok := c.adaptation(); ok && a.weights != nil {
		return a.Name
	}
	return ""
}

// Adaptation says in a fine-tuning what learns beside the head, as "prompt:tokens=1": its name, and the options that are set; "" for
// every weight.
func (c Config) Adaptation() string {
	a, _, ok := c.adaptation()
	if !ok {
		return ""
	}
	words := []string{a.Name}
	for _, option := range a.Options {
		if value := c.Task.AdaptationOptions.value(option); value != option.Neutral {
			words = append(words, option.Name+"="+text(value))
		}
	}
	return strings.Join(words, ":")
}

// LeavesLayers reports whether no weight of the main model's tables and layers learns in a fine-tuning.
func (c Config) LeavesLayers() bool {
	a, _, ok := c.adaptation()
	return ok && a.learns == nil
}

// leaves reports whether a weight stays as it is in a fine-tuning.
func (c Config) leaves(w Weight) bool {
	a, _, ok := c.adaptation()
	return ok && w.Head != HeadAdapter && !(w.ByMain && w.Head == "" && a.learns != nil && a.learns(w))
}

// adapterWeights lists what stands beside the main model's weights.
func (c Config) adapterWeights() Inventory {
	a, option, ok := c.adaptation()
	if !ok || a.weights == nil {
		return nil
	}
	list := a.weights(c, option)
	for i := range list {
		list[i].Owner, list[i].Head, list[i].Depth = OwnerMain, HeadAdapter, c.Main.Layers+1
	}
	return list
}

// beside are the weights of a part at a layer, −1 outside the layers, in the form in which an adaptation lists them.
func beside(layer int, weights ...layers.Weight) (list []Weight) {
	for _, w := range weights {
		list = append(list, placed(w, OwnerMain, Place{Layer: layer}, 0))
	}
	return list
}

// adapting is what an adaptation builds in one run through the main model; nil for none.
type adapting struct {
	adaptation
	model                     Model
	option                    func(name string) any
	root                      *model.Scope
	tokens, nonPad, biasScale *Node
	injected                  []*Node // states of the generator, as its connector leaves them
	biases                    map[*Node]*Node
}

// adapting is nil for the generator, and where the config has no adaptation.
func (m Model) adapting(root *model.Scope, reader Owner, tokens, nonPad, biasScale *Node) *adapting {
	a, option, ok := m.Config.adaptation()
	if !ok || reader != OwnerMain {
		return nil
	}
	return &adapting{adaptation: a, model: m, option: option, root: root, tokens: tokens, nonPad: nonPad, biasScale: biasScale, biases: map[*Node]*Node{}}
}

// scope is that of a part's weights at a layer, −1 outside the layers.
func (a *adapting) scope(layer int, part string) *model.Scope {
	at := Weight{Owner: OwnerMain, Place: Place{Head: HeadAdapter, Layer: layer}}
	return a.root.Store().Scope(model.JoinPath(at.scope(), part))
}

// prompted is x, embeddings [B, S, E], with the slots of a prompt in front.
func (a *adapting) prompted(x *Node) *Node {
	if a == nil || a.prompt == nil {
		return x
	}
	slots := a.prompt(a)
	if slots == nil {
		return x
	}
	return layers.Slots(BroadcastPrefix(slots, x.Shape().Dim(0)), x)
}

// layers are the adapters of the main model's layers.
func (a *adapting) layers(e Encoder) (list []layers.Adapter) {
	if a == nil || a.layer == nil {
		return nil
	}
	for i := range e.Layers {
		list = append(list, a.layer(a, i))
	}
	return list
}

// bias is [layers.SlotsBias], each bias once.
func (a *adapting) bias(bias *Node, k int) *Node {
	if a.biases[bias] == nil {
		a.biases[bias] = layers.SlotsBias(bias, k)
	}
	return a.biases[bias]
}

// withoutSlots are the last s positions of states [B, K+S, H]: those of tokens.
func withoutSlots(states *Node, s int) *Node {
	if k := states.Shape().Dim(1) - s; k > 0 {
		return Slice(states, AxisRange(), AxisRange(k))
	}
	return states
}

// adaptation checks the settings of an adaptation that must go together with others.
func (v *validation) adaptation(c Config) {
	if a, option, ok := c.adaptation(); ok && a.check != nil {
		a.check(v, c, option)
	}
}

// withoutExperts refuses slots beside tokens that are routed to experts by their rows.
func (v *validation) withoutExperts(c Config) {
	if _, ok := c.Experts(OwnerMain); ok {
		v.bad("task.adaptation=%s puts slots beside the tokens, and main.feed_forward=%s routes tokens alone; choose lora, norms, bias or head", c.Task.Adaptation, c.Main.FeedForward)
	}
}
