// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// Parameters are the numbers of weights of the parts of a model.
type Parameters struct {
	Encoder   int // the main model without any head, its tables included: what is kept
	RTDHead   int // on top of it
	Generator int // what the generator has for itself: its head, and whatever config.sharing does not take from the main model
}

// Count counts the weights of a config's model over vocab tokens from the shapes alone, so it costs nothing for models
// that would not fit. A layer of width d and inner width f has
//
//	4(d² + d) + (d·f + f) + (f·d + d) + 4d
//
// weights. Heads are counted as the config describes them, whether or not its objective trains them; those for language
// modelling on the main model, V biases and at most one dense map, are left out.
func Count(c metro.Config, vocab int) Parameters {
	p := Parameters{Encoder: tables(c, vocab) + encoder(c, c.Main), RTDHead: dense(c.Main.Width, 1)}
	if c.Objective.RTDHead == metro.RTDHeadProjected {
		p.RTDHead += dense(c.Main.Width, c.Main.Width)
	}
	if c.Sharing == metro.SharingGDES { // the main model's differences
		p.Encoder += vocab * c.EmbeddingWidth()
		if c.Positions.Absolute {
			p.Encoder += c.PositionRows() * c.EmbeddingWidth()
		}
	}
	if c.Generator.Layers > 0 {
		p.Generator = generator(c, vocab)
	}
	return p
}

// TrainFLOPs is the order of magnitude of the floating-point operations of a whole run, by the usual rule of 6 a weight
// and token (2 forward, 4 backward; a frozen generator has the first alone): for the weights of both models' layers, and
// at the masked positions those of the generator's product with the vocabulary. Attention scores, other heads and second
// passes come on top. For ELECTRA's models it is within a quarter of the figures of ELECTRA's published script.
func TrainFLOPs(c metro.Config, vocab int) float64 {
	const forward, backward = 2, 4
	main := (forward + backward) * float64(c.Main.Layers*layer(c.Main))
	generator := float64(c.Generator.Layers*layer(c.Generator)) + c.Masking.Rate*float64(vocab*c.EmbeddingWidth())
	switch c.Replacements.Source {
	case metro.SourceJoint:
		generator *= forward + backward
	case metro.SourceFrozen:
		generator *= forward
	default:
		generator = 0
	}
	return (main + generator) * TrainTokens(c)
}

// TrainTokens is the number of tokens that a run reads, rows × tokens × steps.
func TrainTokens(c metro.Config) float64 {
	return float64(c.Training.Steps) * float64(c.Training.BatchSize) * float64(c.Data.SeqLen)
}

func generator(c metro.Config, vocab int) int {
	e := c.EmbeddingWidth()
	head := dense(c.Generator.Width, e) + vocab
	if c.Objective.GeneratorHead == metro.GeneratorHeadNorm {
		head += norm(e)
	}
	switch c.Sharing {
	case metro.SharingAll:
		return head
	case metro.SharingNone:
		return head + encoder(c, c.Generator) + tables(c, vocab)
	case metro.SharingToken:
		return head + encoder(c, c.Generator) + tables(c, 0)
	case metro.SharingTokenPositionNorm:
		return head + encoder(c, c.Generator) - norm(e)
	default:
		return head + encoder(c, c.Generator)
	}
}

// tables are those for vocab tokens, positions and token types.
func tables(c metro.Config, vocab int) int {
	rows := vocab + c.Embeddings.TokenTypes
	if c.Positions.Absolute {
		rows += c.PositionRows()
	}
	return rows * c.EmbeddingWidth()
}

// encoder is everything between the tables and the heads.
func encoder(c metro.Config, x metro.Encoder) int {
	e := c.EmbeddingWidth()
	n := norm(e) + x.Layers*layer(x)
	if x.Width != e {
		n += dense(e, x.Width)
	}
	if x.Norm == metro.NormPre {
		n += norm(x.Width)
	}
	if c.Positions.Relative != metro.RelativeNone {
		biasTables := 1
		if c.Positions.PerLayer {
			biasTables = x.Layers
		}
		n += biasTables * c.Positions.Bins * x.Heads
	}
	return n
}

func layer(x metro.Encoder) int {
	return 4*dense(x.Width, x.Width) + dense(x.Width, x.FFN) + dense(x.FFN, x.Width) + 2*norm(x.Width)
}

func dense(in, out int) int { return in*out + out }

func norm(width int) int { return 2 * width }
