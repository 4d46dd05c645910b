// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
)

// Config says everything that decides the numbers of a run. Two equal configs on equal data give equal runs. The JSON
// names are those of the command's --set flag; [Choices] lists the values of those that have names.
type Config struct {
	Seed         int64        `json:"seed"`         // of every random stream
	Data         Data         `json:"data"`         // tokenizer and rows
	Embeddings   Embeddings   `json:"embeddings"`   // what a token looks up
	Main         Encoder      `json:"main"`         // the main model, the one that is kept
	Generator    Encoder      `json:"generator"`    // the auxiliary model, dropped after pretraining
	Positions    Positions    `json:"positions"`    // of both
	Sharing      string       `json:"sharing"`      // of weights between both: SharingNone, …
	Masking      Masking      `json:"masking"`      // where the generator guesses, and what it sees there
	Replacements Replacements `json:"replacements"` // what is written into the text
	Objective    Objective    `json:"objective"`    // what is trained
	Optimizer    Optimizer    `json:"optimizer"`    // Adam and the learning rate over time
	Training     Training     `json:"training"`     // how long, on what, and what is written down
	Evaluation   Evaluation   `json:"evaluation"`   // held-out rows
}

// Data is how text becomes rows.
type Data struct {
	VocabSize int  `json:"vocab_size"` // asked of the tokenizer trainer; the whole alphabet is kept, so V can be larger
	Lowercase bool `json:"lowercase"`
	SeqLen    int  `json:"seq_len"` // S, [CLS] included
}

// Embeddings is the shape of the embedding tables.
type Embeddings struct {
	Width      int `json:"width"`       // E; 0 is main.width. ELECTRA-small has 128 under a width of 256
	TokenTypes int `json:"token_types"` // rows of a token type table, the first of which is added everywhere; 2 in BERT and ELECTRA, 0 for none
}

// Encoder is the shape of one Transformer encoder.
type Encoder struct {
	Layers     int     `json:"layers"`
	Width      int     `json:"width"` // H
	Heads      int     `json:"heads"`
	FFN        int     `json:"ffn"` // inner width of the feed-forward map
	Activation string  `json:"activation"`
	Norm       string  `json:"norm"`       // NormPost or NormPre
	Dropout    float64 `json:"dropout"`    // METRO's generator has none, so that one pass serves its loss and its samples
	Epsilon    float64 `json:"epsilon"`    // of layer normalisation
	Init       string  `json:"init"`       // of dense weights: InitNormal, …
	InitScale  string  `json:"init_scale"` // of the maps that write into the residual stream: InitScaleNone or InitScaleDepth
}

// Values of Encoder.Norm.
const (
	NormPost = "post" // LN(x + f(x)): BERT, ELECTRA, COCO-LM, METRO-T0
	NormPre  = "pre"  // x + f(LN(x)), and one more LN at the end
)

// Values of Encoder.Init.
const (
	InitNormal    = "normal"    // N(0, 0.02²): COCO-LM
	InitTruncated = "truncated" // the same, drawn again beyond two σ: BERT, ELECTRA
	InitFanIn     = "fan_in"    // N(0, 1/fan-in): ours, for short runs of narrow models
	InitT5        = "t5"        // dense N(0, 1/(2·out)), tables uniform ±√(3/(2·width)): METRO-T0's main model
)

// Values of Encoder.InitScale.
const (
	InitScaleNone  = "none"
	InitScaleDepth = "depth" // ÷ √(2·layers). A candidate for METRO-LM's "scaled initialisation", whose formula is not public
)

// Positions is how the models know where a token stands.
type Positions struct {
	Absolute    bool    `json:"absolute"`  // a learned table [Rows, E], added to the token's
	Rows        int     `json:"rows"`      // of that table, of which a text reads the first S; 0 is data.seq_len. ELECTRA-small trains rows of 128 under a table of 512
	Relative    string  `json:"relative"`  // a bias on the attention logits: RelativeSignedLog, RelativeT5 or RelativeNone
	PerLayer    bool    `json:"per_layer"` // each layer has a bias table of its own (METRO-T0); else an encoder's layers share one
	Bins        int     `json:"bins"`
	MaxDistance int     `json:"max_distance"`
	Scale       float64 `json:"scale"` // the bias is multiplied by this; published recipes have 1, short runs learn faster with more
}

// Values of Positions.Relative.
const (
	RelativeNone      = "none"
	RelativeSignedLog = "signed_log" // COCO-LM, METRO-T0; see [layers.SignedLogBucket]
	RelativeT5        = "t5"         // see [layers.T5Bucket]
)

// Values of Config.Sharing: what the generator takes from the main model.
const (
	SharingNone              = "none"
	SharingToken             = "token"               // the token table (COCO-LM with a zero-dropout generator)
	SharingTokenPosition     = "token_position"      // and the position and token type tables (METRO-T0's token_pos)
	SharingTokenPositionNorm = "token_position_norm" // and the embedding's layer normalisation (ELECTRA; METRO-T0's token_pos_norm)
	SharingAll               = "all"                 // everything but the heads: the two are one encoder
	SharingGDES              = "gdes"                // main tables = stop-gradient(generator's) + Δ, Δ = 0 at first (DeBERTaV3)
)

// Masking chooses the masked positions and what the generator sees there.
type Masking struct {
	Rate              float64 `json:"rate"`               // part of each row's real tokens
	Rule              string  `json:"rule"`               // "mask/keep/random" in per cent; the loss counts all three
	Pattern           string  `json:"pattern"`            // MaskIndependent, MaskWholeWord or MaskSpan
	WithReplacement   bool    `json:"with_replacement"`   // ELECTRA's code: a position may be drawn twice, and then counts twice in the loss
	ElectraCollisions bool    `json:"electra_collisions"` // a position drawn twice gets the floor of the mean of its two ids, as in ELECTRA's code; else the first sample
}

// Values of Masking.Pattern.
const (
	MaskIndependent = "independent"
	MaskWholeWord   = "whole_word"
	MaskSpan        = "span"
)

// Replacements is where the tokens at the masked positions come from.
type Replacements struct {
	Source              string  `json:"source"`               // SourceJoint, …, or a name from [RegisterSource]
	Checkpoint          string  `json:"checkpoint"`           // of SourceFrozen: a run, or a Hugging Face folder
	Dropout             string  `json:"dropout"`              // of the generator while it samples: SampleZero, SampleTrain or SampleEval
	Temperature         float64 `json:"temperature"`          // T of softmax(logits/T)
	TemperatureSchedule string  `json:"temperature_schedule"` // TemperatureConstant or TemperatureExponential
	TemperatureDecay    float64 `json:"temperature_decay"`    // τ of the exponential schedule, in parts of the run
	DisallowCorrect     bool    `json:"disallow_correct"`     // never draw the original (ELECTRA's option, off there)
}

// Values of Replacements.Source. All are registered; see [RegisterSource].
const (
	SourceJoint   = "joint"   // the generator, which learns at the same time
	SourceFrozen  = "frozen"  // a generator that is read from a checkpoint and learns no more (Fast-ELECTRA)
	SourceUnigram = "unigram" // the training text's token frequencies
	SourceUniform = "uniform" // every token that is not special, alike
)

// Values of Replacements.Dropout.
const (
	SampleZero  = "zero"  // the generator has no dropout at all: one pass serves loss and samples (METRO)
	SampleTrain = "train" // samples come from the pass with dropout (ELECTRA)
	SampleEval  = "eval"  // a second pass without dropout samples (COCO-LM)
)

// Values of Replacements.TemperatureSchedule.
const (
	TemperatureConstant    = "constant"
	TemperatureExponential = "exponential" // 1 + (T−1)·exp(−u/τ), u the part of the run that is over (Fast-ELECTRA, formula from memory)
)

// Objective is what is trained: the loss is the sum of the terms of Name, each times its weight.
type Objective struct {
	Name            string  `json:"name"`             // "rtd_clm", …, or a name from [RegisterObjective]
	GeneratorWeight float64 `json:"generator_weight"` // of the generator's masked language modelling
	RTDWeight       float64 `json:"rtd_weight"`       // 50 in ELECTRA, COCO-LM and METRO-T0
	CLMWeight       float64 `json:"clm_weight"`       // of the main model's language modelling
	SCLWeight       float64 `json:"scl_weight"`       // of sequence contrast
	CLM             string  `json:"clm"`              // form of corrective language modelling: CLMSimplified, …

	GeneratorHead string `json:"generator_head"` // GeneratorHeadNorm or GeneratorHeadPlain
	RTDHead       string `json:"rtd_head"`       // RTDHeadLinear or RTDHeadProjected
	RTDZeroInit   bool   `json:"rtd_zero_init"`  // the RTD output starts at 0, so that RTD starts at ln 2 (METRO-T0)
}

// Values of Objective.GeneratorHead.
const (
	GeneratorHeadNorm  = "norm"  // dense, activation, layer normalisation, tied output (ELECTRA, COCO-LM, METRO-T0)
	GeneratorHeadPlain = "plain" // the same without the normalisation: leaves the unigram plateau much sooner in short runs
)

// Values of Objective.RTDHead.
const (
	RTDHeadLinear    = "linear"    // one linear map H → 1 (COCO-LM, METRO-T0 "simple")
	RTDHeadProjected = "projected" // dense, activation, linear (ELECTRA)
)

// Values of Objective.CLM. Formulas: [CorrectiveLoss].
const (
	CLMSimplified  = "simplified"   // cross-entropy (METRO; METRO-T0's larger configs)
	CLMWeighted    = "weighted"     // times the probability that the token was replaced (COCO-LM's authors, METRO-T0 base)
	CLMMixture     = "mixture"      // with copy (COCO-LM, text of the paper)
	CLMMixtureFlow = "mixture_flow" // the same without the stop-gradient on the copy probability
	CLMWithoutCopy = "without_copy" // cross-entropy, and no RTD at all (COCO-LM's ablation, as we read it)
)

// Optimizer is Adam with decoupled weight decay, a global-norm clip, and a schedule of the learning rate.
type Optimizer struct {
	LearningRate   float64 `json:"learning_rate"` // peak
	Schedule       string  `json:"schedule"`      // ScheduleThen or ScheduleTimes
	WarmupSteps    int     `json:"warmup_steps"`
	FinalFraction  float64 `json:"final_fraction"` // of the peak, at the last step
	Beta1          float64 `json:"beta1"`
	Beta2          float64 `json:"beta2"`
	Epsilon        float64 `json:"epsilon"`
	BiasCorrection bool    `json:"bias_correction"`  // off in ELECTRA's code alone
	WeightDecay    float64 `json:"weight_decay"`     // decoupled; not on biases and layer normalisation
	ClipNorm       float64 `json:"clip_norm"`        // of all gradients together; 0 = off
	LayerDecay     float64 `json:"layer_decay"`      // the learning rate of each layer is this times that of the layer above; 1 = off
	LayerDecayRule string  `json:"layer_decay_rule"` // LayerDecayExact or LayerDecayElectra
	Groups         string  `json:"groups"`           // learning rate and decay of parts: "main/rtd: lr=2; generator: lr=0.5 decay=0"; see [ParseGroups]
}

// Values of Optimizer.Schedule.
const (
	ScheduleThen  = "warmup_then_decay"  // linear to the peak, then linear down (fairseq: COCO-LM, METRO-T0)
	ScheduleTimes = "warmup_times_decay" // the two multiplied: the maximum stays below the peak (ELECTRA's code)
)

// Values of Optimizer.LayerDecayRule.
const (
	LayerDecayExact   = "exact"   // heads 1, top layer decay¹, …, embeddings decayⁿ⁺¹
	LayerDecayElectra = "electra" // as ELECTRA's code has it, one power more everywhere below the heads
)

// Training is the length of a run, how a step is computed, and the cadence of its records, in steps.
type Training struct {
	Steps           int `json:"steps"`
	BatchSize       int `json:"batch_size"` // B, rows a step
	LogEvery        int `json:"log_every"`
	EvalEvery       int `json:"eval_every"`
	CheckpointEvery int `json:"checkpoint_every"`
	KeepCheckpoints int `json:"keep_checkpoints"`

	Accumulate              int    `json:"accumulate"`               // parts that a step's rows are computed in, one after the other; saves memory
	ActivationCheckpointing bool   `json:"activation_checkpointing"` // layers are computed again for the gradient; saves memory
	MatMul                  string `json:"matmul"`                   // MatMulFloat32 or MatMulBFloat16

	InitFrom       string `json:"init_from"`       // first weights: a run, or a Hugging Face pair; empty draws them
	GeneratorSteps int    `json:"generator_steps"` // two-stage training: the generator alone for so many steps, then the main model alone; 0 = jointly
	CopyGenerator  bool   `json:"copy_generator"`  // the second stage starts from the generator's weights
}

// Values of Training.MatMul. Weights, optimizer, losses and all else stay in float32.
const (
	MatMulFloat32  = "float32"
	MatMulBFloat16 = "bfloat16"
)

// Evaluation is the held-out sets: rows of the validation split for the losses, and rows of the test split for the
// frozen corrupted sets. Both are rounded down to whole batches.
type Evaluation struct {
	Rows    int    `json:"rows"`
	Metrics string `json:"metrics"` // names from [RegisterMetric], with commas, that are recorded beside the usual ones
}

// Weights returns the weights of the losses, in the order generator, RTD, CLM, SCL: the order of [Scalars].
func (o Objective) Weights() []float32 {
	return []float32{float32(o.GeneratorWeight), float32(o.RTDWeight), float32(o.CLMWeight), float32(o.SCLWeight)}
}

// Setting is a field of a config by its path, and its value.
type Setting struct {
	Path  string
	Value any
}

// Computes lists the fields of e that decide what an encoder computes with weights that it has, under the path prefix
// ("main"): dropout and first values are not among them. Two encoders whose lists are equal can have each other's weights.
func (e Encoder) Computes(prefix string) []Setting {
	return []Setting{
		{prefix + ".layers", e.Layers},
		{prefix + ".width", e.Width},
		{prefix + ".heads", e.Heads},
		{prefix + ".ffn", e.FFN},
		{prefix + ".activation", e.Activation},
		{prefix + ".norm", e.Norm},
		{prefix + ".epsilon", e.Epsilon},
	}
}

// EmbeddingWidth returns E, the width of the embedding tables.
func (c Config) EmbeddingWidth() int { return cmp.Or(c.Embeddings.Width, c.Main.Width) }

// PositionRows returns the number of rows of the learned position table.
func (c Config) PositionRows() int { return cmp.Or(c.Positions.Rows, c.Data.SeqLen) }

// MaskedPositions returns P, the number of mask slots a row.
func (c Config) MaskedPositions() int {
	return max(1, int(math.Round(c.Masking.Rate*float64(c.Data.SeqLen))))
}

// GraphKey names the computation of a training step: configs with equal keys, on equal vocabularies, can share one
// compiled program, because what they differ in (seed, learning rate, loss weights, bias scale, temperature, masks,
// cadence) is an input.
func (c Config) GraphKey() string {
	c.Seed = 0
	if c.Replacements.Source == SourceJoint || c.Replacements.Source == SourceFrozen {
		c.Data.VocabSize, c.Data.Lowercase = 0, false // else the tokens' frequencies are built in
	}
	c.Positions.Scale = 0
	c.Masking = Masking{Rate: c.Masking.Rate, WithReplacement: c.Masking.WithReplacement, ElectraCollisions: c.Masking.ElectraCollisions}
	r := &c.Replacements
	r.Temperature, r.TemperatureSchedule, r.TemperatureDecay, r.Checkpoint = 0, "", 0, ""
	o := &c.Objective
	o.GeneratorWeight, o.RTDWeight, o.CLMWeight, o.SCLWeight = 0, 0, 0, 0
	c.Optimizer.LearningRate, c.Optimizer.Schedule, c.Optimizer.WarmupSteps, c.Optimizer.FinalFraction = 0, "", 0, 0
	c.Optimizer.BiasCorrection = false
	t := c.Training
	c.Training = Training{
		BatchSize: t.BatchSize, Accumulate: t.Accumulate, ActivationCheckpointing: t.ActivationCheckpointing, MatMul: t.MatMul,
	}
	c.Evaluation.Rows = 0
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // only NaN or Inf, which Validate refuses
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
