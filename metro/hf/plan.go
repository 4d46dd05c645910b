// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/tokens"
	"metrolab/metro/weights"
)

// outgoing is one folder to be written.
type outgoing struct {
	name     string
	settings settings
	joints   []joint
	products []factored // joints that are written as factors
}

// planExport says what the folders are, from the config, the shapes of the tensors that there are, and those that are to be written as
// factors.
func planExport(c metro.Config, t tokens.Tokenizer, shapes map[string][]int, slices map[string]weights.Slice) ([]outgoing, error) {
	if kind := c.Embeddings.Kind; kind == metro.EmbedderBytes {
		return nil, usererr.New("embeddings.kind=%s computes its vectors from bytes, for which a Hugging Face folder has no place; use the run itself, which other runs can begin with too (training.init_from), or train with embeddings.kind=%s", kind, metro.EmbedderTable)
	}
	vocab := metro.VocabSize(c, func(tensor string) ([]int, bool) {
		shape, ok := shapes[tensor]
		return shape, ok
	})
	if vocab == 0 {
		return nil, fmt.Errorf("the weights have no token table shared.token_embedding: they are no checkpoint of a model")
	}
	if t.VocabSize() > vocab {
		return nil, usererr.New("the tokenizer has %d tokens, but the model's table has %d", t.VocabSize(), vocab)
	}
	parts := []*exportedModel{{role: mainRole, encoder: c.Main}}
	if heads["generator"].isIn(shapes, c, vocab) {
		parts = append(parts, &exportedModel{role: generatorRole, encoder: c.Generator})
	}
	full := c // with all tables that an ELECTRA model has, and with every layer written out
	full.Main.LayerSharing, full.Generator.LayerSharing = metro.LayerSharingNone, metro.LayerSharingNone
	for _, p := range parts {
		p.findHeads(shapes, c, vocab)
		p.reasons = beyondElectra(c, p.encoder, p.heads)
		p.findProducts(c, vocab, slices)
		if len(p.reasons) == 0 {
			full.Positions.Absolute, full.Embeddings.TokenTypes = true, cmp.Or(c.Embeddings.TokenTypes, 2)
		}
	}
	var out []outgoing
	for _, p := range parts {
		o := outgoing{name: p.folder(), settings: p.settings(full, vocab, t.Special().PAD), joints: p.joints(c, full, vocab)}
		o.factor(p.products)
		if err := o.compare(shapes); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// compare makes sure that the tensors are what the config says.
func (o outgoing) compare(shapes map[string][]int) error {
	for _, j := range o.joints {
		if j.theirs == "" {
			return usererr.New("%s has no name in a Hugging Face folder, so that this model cannot be exported", j.ours)
		}
		for _, name := range []string{j.ours, j.plus} {
			if got, ok := shapes[name]; name != "" && (!ok || !slices.Equal(got, j.shape)) {
				return fmt.Errorf("by the config tensor %s is %v, in the weights it is %v: they do not belong together", name, j.shape, got)
			}
		}
	}
	return nil
}

// exportedModel is a model on its way into a folder.
type exportedModel struct {
	role    role
	encoder metro.Encoder
	heads   []string // that there are
	reasons []string // why it is no ELECTRA model

	products []factored
}

func (l *exportedModel) findHeads(shapes map[string][]int, c metro.Config, vocab int) {
	heads := headsOf(c)
	for _, name := range slices.Sorted(maps.Keys(heads)) {
		if heads[name].role == l.role && heads[name].isIn(shapes, c, vocab) {
			l.heads = append(l.heads, name)
		}
	}
}

// isIn reports whether tensors of the given shapes have weights of the head.
func (h head) isIn(shapes map[string][]int, c metro.Config, vocab int) bool {
	return slices.ContainsFunc(h.weights(metro.Describe(c, vocab)), func(w metro.Weight) bool {
		_, ok := shapes[w.Tensor()]
		return ok
	})
}

// exits lists the layers below the last that have an RTD head, such as "1,2".
func (l *exportedModel) exits(c metro.Config) string {
	var at []string
	for _, layer := range c.ExitLayers() {
		if slices.Contains(l.heads, metro.ExitHead(layer)) {
			at = append(at, strconv.Itoa(layer))
		}
	}
	return strings.Join(at, ",")
}

func (l *exportedModel) folder() string {
	switch {
	case l.role == generatorRole:
		return generatorDir
	case slices.Contains(l.heads, "rtd"):
		return discriminatorDir
	default:
		return mainDir
	}
}

func (l *exportedModel) modelType() string {
	if len(l.reasons) > 0 {
		return metroType
	}
	return electraType
}

func (l *exportedModel) settings(c metro.Config, vocab int, pad int32) settings {
	e := l.encoder
	s := settings{
		ModelType: l.modelType(), VocabSize: vocab, EmbeddingSize: c.EmbeddingWidth(),
		HiddenSize: e.Width, Layers: e.Layers, Heads: e.Heads, IntermediateSize: e.FFN,
		Activation: theirActivations[e.Activation], HiddenDropout: e.Dropout, AttentionDropout: e.Dropout,
		MaxPositions: c.PositionRows(), TypeVocabSize: c.Embeddings.TokenTypes, InitializerRange: 0.02,
		Epsilon: e.Epsilon, PadTokenID: int(pad), PositionEmbedding: "absolute", TorchDType: "float32",
	}
	switch {
	case len(l.reasons) > 0:
		s.Metrolab = &ours{
			Role: l.role, Norm: e.Norm, Positions: positionShape(c.Positions), RTDHead: c.Objective.RTDHead, GeneratorHead: c.Objective.GeneratorHead,
			OutputScale:        c.Embeddings.OutputScale,
			FeedForwardOptions: e.FeedForwardOptions,
			Note:               "not an ELECTRA model, because it has " + strings.Join(l.reasons, " and ") + "; only metrolab reads it",
		}
		if dense := metro.FeedForwardDense; cmp.Or(e.FeedForward, dense) != dense {
			s.Metrolab.FeedForward = e.FeedForward
		}
		if l.role == mainRole {
			s.Metrolab.Exits = l.exits(c)
		}
	case l.role == generatorRole:
		s.Architectures = []string{"ElectraForMaskedLM"}
	case slices.Contains(l.heads, "lm"): // its head would make it a generator
		s.Architectures, s.Metrolab = []string{"ElectraForMaskedLM"}, &ours{Role: l.role}
	case slices.Contains(l.heads, "rtd"):
		s.Architectures = []string{"ElectraForPreTraining"}
	default:
		s.Architectures = []string{"ElectraModel"}
	}
	return s
}

// joints are the tensors of a model of config full, whose tables that c has not are zeros. What layers share, each has.
func (l *exportedModel) joints(c, full metro.Config, vocab int) []joint {
	joints, inv := jointsOf(full, vocab, l.role, l.heads, l.modelType()+"."), metro.Describe(c, vocab)
	has := inv.ByPath()
	for i, w := range weightsOf(full, vocab, l.role, l.heads) {
		_, own := has[w.Path()]
		d, differs := inv.DifferenceOf(w)
		w.Layer = min(w.Layer, 0)
		shared := has[w.Path()]
		switch {
		case !own && shared.Again > 0:
			joints[i].ours = shared.Tensor()
		case !own:
			joints[i].ours = ""
		case differs && l.role == mainRole:
			joints[i].plus = d.Tensor()
		}
	}
	return joints
}

// beyondElectra lists what transformers' ELECTRA could not compute of a model of that shape with those heads.
func beyondElectra(c metro.Config, e metro.Encoder, heads []string) []string {
	var reasons []string
	add := func(when bool, format string, args ...any) {
		if when {
			reasons = append(reasons, fmt.Sprintf(format, args...))
		}
	}
	has := func(head string) bool { return slices.Contains(heads, head) }
	add(c.Positions.Relative != metro.RelativeNone, "a relative position bias (positions.relative=%s)", c.Positions.Relative)
	add(e.Norm != metro.NormPost, "pre-LN layers")
	add(cmp.Or(e.FeedForward, metro.FeedForwardDense) != metro.FeedForwardDense, "another map in its layers (feed_forward=%s)", e.FeedForward)
	add(has("rtd") && c.Objective.RTDHead != metro.RTDHeadProjected, "an RTD head without a dense map (objective.rtd_head=%s)", c.Objective.RTDHead)
	add(slices.ContainsFunc(c.ExitLayers(), func(layer int) bool { return has(metro.ExitHead(layer)) }), "RTD heads below the last layer")
	add(has("clm"), "a corrective language modelling head")
	add(has("scl"), "a sequence contrast head")
	add(has("generator") && c.Objective.GeneratorHead != metro.GeneratorHeadNorm, "a generator head without layer normalisation")
	add((has("generator") || has("lm")) && c.Embeddings.OutputScale != 0, "a scale of its logits (embeddings.output_scale=%g)", c.Embeddings.OutputScale)
	// transformers has GELU there, whatever hidden_act says.
	add((has("generator") || has("lm")) && e.Activation != "gelu", "a masked language modelling head with %s", e.Activation)
	return reasons
}
