// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"metrolab/internal/bounded"
	"metrolab/internal/usererr"
	"metrolab/metro"
)

// The values of settings.ModelType.
const (
	electraType = "electra"
	bertType    = "bert"
	metroType   = "metro" // ours
)

// role is a model's part in pretraining.
type role string

const (
	mainRole      role = "main"
	generatorRole role = "generator"
)

func (r role) owner() metro.Owner {
	if r == generatorRole {
		return metro.OwnerGenerator
	}
	return metro.OwnerMain
}

// settings is config.json, as far as it decides what a model computes.
type settings struct {
	Architectures     []string `json:"architectures,omitempty"`
	ModelType         string   `json:"model_type"`
	VocabSize         int      `json:"vocab_size"`
	EmbeddingSize     int      `json:"embedding_size"` // BERT has none
	HiddenSize        int      `json:"hidden_size"`
	Layers            int      `json:"num_hidden_layers"`
	Heads             int      `json:"num_attention_heads"`
	IntermediateSize  int      `json:"intermediate_size"`
	Activation        string   `json:"hidden_act"`
	HiddenDropout     float64  `json:"hidden_dropout_prob"`
	AttentionDropout  float64  `json:"attention_probs_dropout_prob"`
	MaxPositions      int      `json:"max_position_embeddings"`
	TypeVocabSize     int      `json:"type_vocab_size"`
	InitializerRange  float64  `json:"initializer_range"`
	Epsilon           float64  `json:"layer_norm_eps"`
	PadTokenID        int      `json:"pad_token_id"`
	PositionEmbedding string   `json:"position_embedding_type"`
	TorchDType        string   `json:"torch_dtype"`
	Decoder           bool     `json:"is_decoder,omitempty"`

	Metrolab *ours `json:"metrolab,omitempty"`
}

// ours is what config.json has no other place for.
type ours struct {
	Role          role            `json:"role"`
	Note          string          `json:"note,omitempty"`
	Norm          string          `json:"norm,omitempty"`
	Positions     metro.Positions `json:"positions,omitzero"`
	RTDHead       string          `json:"rtd_head,omitempty"`
	GeneratorHead string          `json:"generator_head,omitempty"`
	OutputScale   float64         `json:"output_scale,omitempty"`
	Exits         string          `json:"exits,omitempty"` // layers below the last that have an RTD head, such as "1,2"

	FeedForward        string        `json:"feed_forward,omitempty"` // "" for the dense map
	FeedForwardOptions metro.Options `json:"feed_forward_options,omitzero"`

	Products products `json:"products,omitempty"` // tensors that are stored as factors
}

// maxSettings bounds config.json, which is a kilobyte long.
const maxSettings = 1 << 20

func readSettings(path string) (settings, error) {
	data, err := bounded.ReadText(path, maxSettings)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return settings{}, usererr.New("no model: %w", err)
	case err != nil:
		return settings{}, err
	}
	s, err := parseSettings(data)
	if err != nil {
		return settings{}, usererr.New("%s: %w", path, err)
	}
	return s, nil
}

// parseSettings reads config.json. What is left out has the value that transformers gives it.
func parseSettings(data []byte) (settings, error) {
	s := settings{
		Activation: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1, TypeVocabSize: 2, Epsilon: 1e-12,
		PositionEmbedding: "absolute",
	}
	err := json.Unmarshal(data, &s)
	switch {
	case usererr.Is(err):
		return s, err
	case err != nil:
		return s, usererr.New("not a config.json: %w", err)
	}
	return s, s.check()
}

// products are the tensors that are stored as factors.
func (s *settings) products() products {
	if s.Metrolab == nil {
		return nil
	}
	return s.Metrolab.Products
}

// Activations: theirs by ours, and ours by every name of theirs.
var (
	theirActivations = map[string]string{"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}
	ourActivations   = map[string]string{"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"}
)

// check refuses what no model here can compute. The sizes themselves are compared with the tensors later.
func (s *settings) check() error {
	switch s.ModelType {
	case electraType, metroType:
	case bertType:
		s.EmbeddingSize = s.HiddenSize
	case "":
		return usererr.New(`it has no model_type, as some old ones; add "model_type": %q or %q`, bertType, electraType)
	default:
		return usererr.New("model_type is %.40q; %q, %q and %q are read", s.ModelType, electraType, bertType, metroType)
	}
	for _, size := range []struct {
		name string
		n    int
	}{
		{"vocab_size", s.VocabSize}, {"embedding_size", s.EmbeddingSize}, {"hidden_size", s.HiddenSize},
		{"num_hidden_layers", s.Layers}, {"num_attention_heads", s.Heads}, {"intermediate_size", s.IntermediateSize},
		{"max_position_embeddings", s.MaxPositions},
	} {
		if size.n < 1 {
			return usererr.New("%s must be there and at least 1, it is %d", size.name, size.n)
		}
	}
	switch {
	case s.HiddenSize%s.Heads != 0:
		return usererr.New("num_attention_heads, %d, does not divide hidden_size, %d", s.Heads, s.HiddenSize)
	case s.TypeVocabSize < 0:
		return usererr.New("type_vocab_size is %d", s.TypeVocabSize)
	case ourActivations[s.Activation] == "":
		return usererr.New("hidden_act is %.40q; known are %q", s.Activation, slices.Sorted(maps.Keys(ourActivations)))
	case !(s.Epsilon > 0 && s.Epsilon <= 1):
		return usererr.New("layer_norm_eps is %g", s.Epsilon)
	case !(s.HiddenDropout >= 0 && s.HiddenDropout < 1):
		return usererr.New("hidden_dropout_prob is %g", s.HiddenDropout)
	case s.PositionEmbedding != "absolute":
		return usererr.New("position_embedding_type is %.40q; only absolute ones are read", s.PositionEmbedding)
	case s.Decoder:
		return usererr.New("is_decoder is set; only encoders are read")
	case s.ModelType == metroType && s.Metrolab == nil:
		return usererr.New(`model_type is %q, but the key "metrolab" that goes with it is missing`, metroType)
	case s.ModelType != metroType && len(s.products()) > 0:
		return usererr.New("metrolab.products goes with the model_type %q, and it is %q", metroType, s.ModelType)
	case s.Metrolab == nil:
		return nil
	}
	if err := s.Metrolab.check(); err != nil || s.ModelType != metroType {
		return err
	}
	if at := s.Metrolab.Exits; at != "" {
		if _, err := (metro.Config{Main: metro.Encoder{Layers: s.Layers}}).WithExits(at); err != nil {
			return usererr.New("metrolab.exits: %w", err)
		}
	}
	return s.Metrolab.checkShape()
}

func (o *ours) check() error {
	if o.Role != mainRole && o.Role != generatorRole {
		return usererr.New("metrolab.role is %.40q; %q and %q are known", o.Role, mainRole, generatorRole)
	}
	return nil
}

// checkShape is for models of our own type, where these settings decide what is computed.
func (o *ours) checkShape() error {
	choices := metro.Choices()
	for _, s := range []struct{ name, path, value string }{
		{"norm", "main.norm", o.Norm}, {"positions.relative", "positions.relative", o.Positions.Relative},
		{"rtd_head", "objective.rtd_head", o.RTDHead}, {"generator_head", "objective.generator_head", o.GeneratorHead},
	} {
		if !slices.Contains(choices[s.path], s.value) {
			return usererr.New("metrolab.%s is %.40q; %q are known", s.name, s.value, choices[s.path])
		}
	}
	if err := metro.CheckFeedForward(o.FeedForward, o.FeedForwardOptions); err != nil {
		return usererr.New("metrolab.%w", err)
	}
	if p := o.Positions; p.Relative != metro.RelativeNone && (p.Bins < 1 || p.MaxDistance < 1) {
		return usererr.New("metrolab.positions has %d bins up to distance %d", p.Bins, p.MaxDistance)
	}
	return o.Products.check()
}

// encoder is the shape of the model.
func (s *settings) encoder() metro.Encoder {
	e := metro.Encoder{
		Layers: s.Layers, Width: s.HiddenSize, Heads: s.Heads, FFN: s.IntermediateSize, FeedForward: metro.FeedForwardDense, LayerSharing: metro.LayerSharingNone,
		Activation: ourActivations[s.Activation], Norm: metro.NormPost, Dropout: s.HiddenDropout, Epsilon: s.Epsilon,
		Init: metro.InitTruncated, InitScale: metro.InitScaleNone,
	}
	if s.ModelType == metroType {
		e.Norm = s.Metrolab.Norm
		e.FeedForward, e.FeedForwardOptions = cmp.Or(s.Metrolab.FeedForward, metro.FeedForwardDense), s.Metrolab.FeedForwardOptions
	}
	return e
}

// describe sets in c what both models of a pair have in common.
func (s *settings) describe(c *metro.Config) {
	c.Data.VocabSize, c.Data.SeqLen = s.VocabSize, s.MaxPositions
	c.Embeddings = metro.Embeddings{Width: s.EmbeddingSize, TokenTypes: s.TypeVocabSize, Kind: metro.EmbedderTable}
	c.Positions = metro.Positions{Absolute: true, Relative: metro.RelativeNone}
	if s.ModelType == metroType {
		c.Positions, c.Embeddings.OutputScale = positionShape(s.Metrolab.Positions), s.Metrolab.OutputScale
	}
}

// positionShape leaves out what decides nothing: the settings of a relative bias that is not there, and the rows of the
// learned table, which are max_position_embeddings.
func positionShape(p metro.Positions) metro.Positions {
	p.Rows = 0
	if p.Relative == metro.RelativeNone {
		return metro.Positions{Absolute: p.Absolute, Relative: p.Relative}
	}
	return p
}

func (s *settings) json() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		panic(err) // only NaN or Inf, which no config has
	}
	return out.Bytes()
}
