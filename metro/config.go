// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"math"
)

// Config says everything that decides the numbers of a run, and how the run is looked after. The JSON names are those of
// the command's --set flag; [Choices] lists the values of those that have names. Each field's tags say what it is to a run:
// see [Field] and, for the tags, field.go.
//
// Runs whose configs have the same [Config.Identity], on the same text and by the same kind of engine, are one run. How
// far that promises equal numbers, on another machine say, training.RunIdentity tells.
type Config struct {
	Seed         int64        `json:"seed" class:"input"`                     // of every random stream
	Data         Data         `json:"data"`                                   // tokenizer and rows
	Embeddings   Embeddings   `json:"embeddings"`                             // what a token looks up
	Main         Encoder      `json:"main"`                                   // the main model, the one that is kept
	Generator    Encoder      `json:"generator" when:"pretraining generator"` // the auxiliary model, dropped after pretraining
	Positions    Positions    `json:"positions"`                              // of both
	Sharing      string       `json:"sharing" class:"graph" neutral:"none"`   // of weights between both: SharingNone, …
	Masking      Masking      `json:"masking" when:"pretraining"`             // where the generator guesses, and what it sees there
	Replacements Replacements `json:"replacements" when:"pretraining"`        // what is written into the text
	Objective    Objective    `json:"objective" when:"pretraining"`           // what is trained
	Optimizer    Optimizer    `json:"optimizer"`                              // Adam and the learning rate over time
	Training     Training     `json:"training"`                               // how long, on what, and what is written down
	Growth       Growth       `json:"growth" when:"pretraining"`              // of the model of training.init_from into this one
	Evaluation   Evaluation   `json:"evaluation" when:"pretraining"`          // held-out rows
	Task         Task         `json:"task"`                                   // what is trained: pretraining, or a task on a pretrained model
}

// Data is how text becomes rows.
type Data struct {
	VocabSize int  `json:"vocab_size" class:"data" when:"own_tokenizer"` // asked of the tokenizer trainer; the whole alphabet is kept, so V can be larger
	Lowercase bool `json:"lowercase" class:"data" when:"own_tokenizer"`
	SeqLen    int  `json:"seq_len" class:"graph"` // S, [CLS] included

	// Corpus is the text: what [metrolab/metro/text.Prepare] takes. Empty is the text that the program was started with.
	Corpus string `json:"corpus" class:"data" neutral:"" path:"true" when:"pretraining" since:"2"`
	// Field is the field of the text's JSON objects that is read; see [metrolab/metro/text.Options]. Empty reads no JSON.
	Field string `json:"field" class:"data" neutral:"" path:"true" when:"pretraining" since:"2"`

	// Files is ends of names, with commas between them, by which further files of a folder are text, code say: "go,py". See
	// [metrolab/metro/text.Options].
	Files string `json:"files" class:"data" neutral:"" path:"true" when:"pretraining" since:"2"`

	// Mixture is further texts that training rows are drawn from, each with its part of all rows; see [ParseMixture]. The text of
	// Corpus has the rest, and is alone what the tokenizer and all counts are learned from and what is held out: a config with a
	// mixture is measured on the same sets as one without.
	Mixture string `json:"mixture" class:"data" neutral:"" path:"true" when:"pretraining" since:"2"`

	Tokenizer   string `json:"tokenizer" class:"data" neutral:"" when:"own_tokenizer" since:"2"`                     // the kind that is learned: TokenizerWordPiece, TokenizerBPE or TokenizerSentencePiece
	Alphabet    int    `json:"alphabet" class:"data" neutral:"0" when:"own_tokenizer data.tokenizer!=bpe" since:"2"` // different characters that the tokenizer learns, the most frequent first. Words with others are unknown to WordPiece, and bytes to SentencePiece. 0 is 1000
	LongestWord int    `json:"longest_word" class:"data" neutral:"0" when:"own_tokenizer" since:"2"`                 // characters of the longest word that WordPiece takes apart, to which longer ones are unknown; BPE learns from longer ones in parts. 0 is 100

	// NearDuplicates leaves out the training paragraphs that are this similar, or more, to one of the validation or test
	// split, as [metrolab/metro/text.Similarity] has it, from 0 to 1; 0 keeps all.
	NearDuplicates float64 `json:"near_duplicates" class:"data" neutral:"0" when:"pretraining" since:"2"`
}

// The kinds of tokenizers that are learned from a text. WordPiece is the neutral value.
const (
	TokenizerWordPiece     = ""              // BERT's
	TokenizerBPE           = "bpe"           // of bytes, as GPT-2's and RoBERTa's
	TokenizerSentencePiece = "sentencepiece" // BPE of characters, those outside the alphabet as their bytes
)

// Embeddings is the shape of the embedding tables.
type Embeddings struct {
	Width      int    `json:"width" class:"graph" neutral:"0"`              // E; 0 is main.width. ELECTRA-small has 128 under a width of 256
	Kind       string `json:"kind" class:"graph" neutral:"table" since:"2"` // EmbedderTable, or a name from [AddEmbedder]
	TokenTypes int    `json:"token_types" class:"graph" neutral:"0"`        // rows of a token type table, the first of which is added everywhere; 2 in BERT and ELECTRA, 0 for none

	// OutputScale multiplies the table where output heads are tied to it. A model that has grown from one of width E₀ has E₀/E: its
	// states and its table hold every coordinate several times, which would multiply logits. 0 is no scale.
	OutputScale float64 `json:"output_scale" class:"graph" neutral:"0" when:"tied_head" since:"2"`

	Options Options `json:"options,omitzero"` // of the embedder
}

// Encoder is the shape of one Transformer encoder.
type Encoder struct {
	Layers      int    `json:"layers" class:"graph"`
	Width       int    `json:"width" class:"graph"` // H
	Heads       int    `json:"heads" class:"graph"`
	FFN         int    `json:"ffn" class:"graph"`                                    // inner width of the feed-forward map
	FeedForward string `json:"feed_forward" class:"graph" neutral:"dense" since:"2"` // FeedForwardDense, or a name from [AddFeedForward]
	Activation  string `json:"activation" class:"graph"`

	Norm      string  `json:"norm" class:"graph" neutral:"post"`       // NormPost or NormPre
	Dropout   float64 `json:"dropout" class:"graph" neutral:"0"`       // METRO's generator has none, so that one pass serves its loss and its samples
	Epsilon   float64 `json:"epsilon" class:"graph"`                   // of layer normalisation
	Init      string  `json:"init" class:"input" neutral:"normal"`     // of dense weights: InitNormal, …
	InitScale string  `json:"init_scale" class:"input" neutral:"none"` // of the maps that write into the residual stream: InitScaleNone or InitScaleDepth

	// LayerSharing is which weights all layers have in common: LayerSharingNone, LayerSharingFeedForward or LayerSharingAll. It saves
	// weights, and no operations.
	LayerSharing string `json:"layer_sharing" class:"graph" neutral:"none" since:"2"`

	FeedForwardOptions Options `json:"feed_forward_options,omitzero"` // of the feed-forward map
}

// Values of Encoder.Norm.
const (
	NormPost = "post" // LN(x + f(x)): BERT, ELECTRA, COCO-LM, METRO-T0
	NormPre  = "pre"  // x + f(LN(x)), and one more LN at the end
)

// Values of Encoder.LayerSharing.
const (
	LayerSharingNone        = "none"         // each layer has its own
	LayerSharingFeedForward = "feed_forward" // the two matrices of the feed-forward map: Super Tiny Language Models
	LayerSharingAll         = "all"          // everything: ALBERT
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
	Absolute    bool    `json:"absolute" class:"graph" neutral:"false"`                                  // a learned table [Rows, E], added to the token's
	Rows        int     `json:"rows" class:"graph" neutral:"0" when:"positions.absolute=true"`           // of that table, of which a text reads the first S; 0 is data.seq_len. ELECTRA-small trains rows of 128 under a table of 512
	Relative    string  `json:"relative" class:"graph" neutral:"none"`                                   // a bias on the attention logits: RelativeSignedLog, RelativeT5, RelativeNone, or a name from [AddAttentionBias]
	PerLayer    bool    `json:"per_layer" class:"graph" neutral:"false" when:"positions.relative!=none"` // each layer has a bias table of its own (METRO-T0); else an encoder's layers share one
	Bins        int     `json:"bins" class:"graph" when:"positions.relative!=none"`
	MaxDistance int     `json:"max_distance" class:"graph" when:"positions.relative!=none"`
	Scale       float64 `json:"scale" class:"input" neutral:"1" when:"positions.relative!=none"` // the bias is multiplied by this; published recipes have 1, short runs learn faster with more

	// WithinDocuments hides from every position what is not of its own document, whose [SEP] is its end; [CLS] is of the first
	// document of its row. Rows are cut from the text across the ends of documents in either case, so that no token is lost.
	WithinDocuments bool `json:"within_documents" class:"graph" neutral:"false" when:"pretraining" since:"2"`

	RelativeOptions Options `json:"relative_options,omitzero"` // of the bias
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
	Rate              float64 `json:"rate" class:"graph"`                                                                            // part of each row's real tokens
	FinalRate         float64 `json:"final_rate" class:"input" neutral:"0" since:"2"`                                                // what the rate falls to, evenly over the run; 0: it stays
	Rule              string  `json:"rule" class:"input" neutral:"100/0/0"`                                                          // "mask/keep/random" in per cent; the loss counts all three
	Pattern           string  `json:"pattern" class:"input" neutral:"independent"`                                                   // MaskIndependent, MaskWholeWord or MaskSpan
	WithReplacement   bool    `json:"with_replacement" class:"graph" neutral:"false"`                                                // ELECTRA's code: a position may be drawn twice, and then counts twice in the loss
	ElectraCollisions bool    `json:"electra_collisions" class:"graph" neutral:"false" when:"samples masking.with_replacement=true"` // a position drawn twice gets the floor of the mean of its two ids, as in ELECTRA's code; else the first sample

	Options Options `json:"options,omitzero"` // of the pattern
}

// Values of Masking.Pattern.
const (
	MaskIndependent = "independent"
	MaskWholeWord   = "whole_word"
	MaskSpan        = "span"
)

// Replacements is where the tokens at the masked positions come from.
type Replacements struct {
	Source              string  `json:"source" class:"graph"`                                               // SourceJoint, …, or a name from [RegisterSource]
	Checkpoint          string  `json:"checkpoint" class:"data" neutral:"" path:"true"`                     // of SourceFrozen: a run, or a Hugging Face folder; of SourceStored: a folder of corruptions
	Dropout             string  `json:"dropout" class:"graph" when:"generator"`                             // of the generator while it samples: SampleZero, SampleTrain or SampleEval
	Temperature         float64 `json:"temperature" class:"input" neutral:"1" when:"draws"`                 // T of softmax(logits/T)
	TemperatureSchedule string  `json:"temperature_schedule" class:"input" neutral:"constant" when:"draws"` // TemperatureConstant, …
	DisallowCorrect     bool    `json:"disallow_correct" class:"graph" neutral:"false" when:"draws"`        // never draw the original (ELECTRA's option, off there)

	// TemperatureDecay is τ of the exponential schedule, in parts of the run.
	TemperatureDecay float64 `json:"temperature_decay" class:"input" when:"draws replacements.temperature_schedule!=constant replacements.temperature_schedule!=linear replacements.temperature_schedule!=polynomial"`

	Options            Options `json:"options,omitzero"`             // of the source
	TemperatureOptions Options `json:"temperature_options,omitzero"` // of the schedule of the temperature
}

// Values of Replacements.Source. All are registered; see [RegisterSource].
const (
	SourceJoint   = "joint"   // the generator, which learns at the same time
	SourceFrozen  = "frozen"  // a generator that is read from a checkpoint and learns no more (Fast-ELECTRA)
	SourceStored  = "stored"  // none: what a frozen generator has drawn before, in a folder of package corruptions
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
	TemperatureLinear      = "linear"      // T − (T−1)·u
	TemperaturePolynomial  = "polynomial"  // 1 + (T−1)·(1−u)^p, p the option power
)

// Objective is what is trained: the loss is the sum of the terms of Name, each times its weight.
type Objective struct {
	Name            string  `json:"name" class:"graph"`                                      // "rtd_clm", …, or a name from [RegisterObjective]
	GeneratorWeight float64 `json:"generator_weight" class:"input" when:"trained_generator"` // of the generator's masked language modelling
	RTDWeight       float64 `json:"rtd_weight" class:"input" when:"head:rtd"`                // 50 in ELECTRA, COCO-LM and METRO-T0
	CLMWeight       float64 `json:"clm_weight" class:"input" when:"head:clm|lm"`             // of the main model's language modelling
	SCLWeight       float64 `json:"scl_weight" class:"input" when:"head:scl"`                // of sequence contrast
	CLM             string  `json:"clm" class:"graph" neutral:"simplified" when:"head:clm"`  // form of corrective language modelling: CLMSimplified, …

	GeneratorHead string `json:"generator_head" class:"graph" when:"generator"`               // GeneratorHeadNorm or GeneratorHeadPlain
	RTDHead       string `json:"rtd_head" class:"graph" when:"head:rtd"`                      // RTDHeadLinear or RTDHeadProjected
	RTDZeroInit   bool   `json:"rtd_zero_init" class:"input" neutral:"false" when:"head:rtd"` // the RTD output starts at 0, so that RTD starts at ln 2 (METRO-T0)

	Options Options `json:"options,omitzero"` // of the objective
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

// Optimizer is what moves the weights, with decoupled weight decay, a global-norm clip, and a schedule of the learning rate.
type Optimizer struct {
	LearningRate   float64 `json:"learning_rate" class:"input"`                        // peak
	Schedule       string  `json:"schedule" class:"input" neutral:"warmup_then_decay"` // ScheduleThen or ScheduleTimes
	WarmupSteps    int     `json:"warmup_steps" class:"input" neutral:"0"`
	FinalFraction  float64 `json:"final_fraction" class:"input" neutral:"0"` // of the peak, which the rate reaches after the last step
	Beta1          float64 `json:"beta1" class:"graph"`
	Beta2          float64 `json:"beta2" class:"graph"`
	Epsilon        float64 `json:"epsilon" class:"graph"`
	BiasCorrection bool    `json:"bias_correction" class:"input"`                                  // off in ELECTRA's code alone
	WeightDecay    float64 `json:"weight_decay" class:"graph" neutral:"0"`                         // decoupled; not on biases and layer normalisation
	ClipNorm       float64 `json:"clip_norm" class:"graph" neutral:"0"`                            // of all gradients together; 0 = off
	LayerDecay     float64 `json:"layer_decay" class:"graph" neutral:"1"`                          // the learning rate of each layer is this times that of the layer above; 1 = off
	LayerDecayRule string  `json:"layer_decay_rule" class:"graph" when:"optimizer.layer_decay!=1"` // LayerDecayExact or LayerDecayElectra
	Groups         string  `json:"groups" class:"graph" neutral:""`                                // learning rate and decay of parts: "main/rtd: lr=2; generator: lr=0.5 decay=0"; see [ParseGroups]

	ScheduleOptions Options `json:"schedule_options,omitzero"` // of the schedule

	Name    string  `json:"name" class:"graph" neutral:"adamw" since:"2"` // OptimizerAdamW, OptimizerMuon, or a name from [RegisterOptimizer]
	Options Options `json:"options,omitzero"`                             // of the optimizer
}

// Values of Optimizer.Name that ship.
const (
	OptimizerAdamW = "adamw" // Adam with decoupled weight decay
	OptimizerMuon  = "muon"  // orthogonal steps for the matrices of layers, AdamW for the rest
)

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
	Steps           int `json:"steps" class:"input"`
	BatchSize       int `json:"batch_size" class:"graph"` // B, rows a step
	LogEvery        int `json:"log_every" class:"operation"`
	EvalEvery       int `json:"eval_every" class:"operation"`
	CheckpointEvery int `json:"checkpoint_every" class:"operation"`
	KeepCheckpoints int `json:"keep_checkpoints" class:"operation"`

	Accumulate              int    `json:"accumulate" class:"graph" neutral:"1"`                   // parts that a step's rows are computed in, one after the other; saves memory
	ActivationCheckpointing bool   `json:"activation_checkpointing" class:"graph" neutral:"false"` // layers are computed again for the gradient; saves memory
	MatMul                  string `json:"matmul" class:"graph" neutral:"float32"`                 // MatMulFloat32, MatMulTF32 or MatMulBFloat16

	// Activations is the dtype of the states between the layers: ActivationsFloat32 or ActivationsBFloat16. Layer normalisation,
	// softmax, activation functions and dropout compute in float32 in any case, and so do heads, losses and the optimizer.
	Activations string `json:"activations" class:"graph" neutral:"float32" when:"training.matmul=bfloat16" since:"2"`

	// Deterministic has every sum taken in one order on every device, so that equal runs are equal to the bit on a GPU too: the
	// gradients of look-ups are matrix products, and XLA is asked for kernels that do not depend on timing. It costs time there.
	// On the processor runs are equal to the bit without it; with it they add in the order that they have on a GPU.
	Deterministic bool `json:"deterministic" class:"graph" neutral:"false" since:"2"`

	KeepAt int `json:"keep_at" class:"operation" neutral:"0" since:"2"` // step whose checkpoint is saved and stays beside the newest, for forks; 0 for none

	// WordBudget is how many words the texts that training reads may have together, held-out parts included, as benchmarks with a
	// limit count them: what stands between white space. More are refused; 0 is no limit.
	WordBudget int `json:"word_budget" class:"operation" neutral:"0" when:"pretraining" since:"2"`

	// WordMilestones keeps checkpoints by the words of text that training has seen, those of every pass: at 1, 2, … 9, 10, 20, …
	// 90, 100, 200, … times so many; 0 keeps none. BabyLM's are 1000000.
	WordMilestones int `json:"word_milestones" class:"operation" neutral:"0" when:"pretraining" since:"2"`

	// EMA is the part of a running average of the weights that stays at a step: the average is kept beside the weights, which it
	// changes in nothing, and every evaluation measures it too, by names that begin with ema_. 0 keeps none. It takes the memory of
	// the weights once more.
	EMA float64 `json:"ema" class:"input" neutral:"0" when:"pretraining" since:"2"`

	InitFrom       string `json:"init_from" class:"data" neutral:"" path:"true"`                                               // first weights: a run, or a Hugging Face pair; empty draws them
	GeneratorSteps int    `json:"generator_steps" class:"input" neutral:"0" when:"pretraining"`                                // two-stage training: the generator alone for so many steps, then the main model alone; 0 = jointly
	CopyGenerator  bool   `json:"copy_generator" class:"input" neutral:"false" when:"pretraining training.generator_steps!=0"` // the second stage starts from the generator's weights

	// PrefixSteps is how many steps the first of two stages has, which trains prefixes of the main model, PrefixLayers of their
	// layers at a time; see [Config.PrefixAt]. 0 trains the whole model from the first step on.
	PrefixSteps  int `json:"prefix_steps" class:"input" neutral:"0" when:"pretraining" since:"2"`
	PrefixLayers int `json:"prefix_layers" class:"input" neutral:"0" when:"pretraining training.prefix_steps!=0" since:"2"` // l_b: prefixes have a multiple of it, and of their layers so many move, the top ones

	// Fork goes on from a step of another run, "RUN@STEP": with its weights, its moments and its records, under this config. RUN
	// is the name of a run in the same folder of runs, or a path. See [Config.CheckFork] for what a fork can change.
	Fork string `json:"fork" class:"data" neutral:"" path:"true" when:"pretraining" since:"2"`
}

// Values of Training.MatMul: what the factors of matrix products are rounded to. Weights, optimizer, losses and all else stay in
// float32.
const (
	MatMulFloat32  = "float32"  // not at all
	MatMulTF32     = "tf32"     // 10 bits of mantissa, on NVIDIA GPUs alone
	MatMulBFloat16 = "bfloat16" // 7 bits, and the products too
)

// Values of Training.Activations.
const (
	ActivationsFloat32  = "float32"
	ActivationsBFloat16 = "bfloat16"
)

// Growth is how a smaller model, that of training.init_from, becomes the one that training begins with; see package grow. What is
// drawn for it follows from the seed of the run. The zero Growth is none: the models must have one shape.
type Growth struct {
	Width            string  `json:"width" class:"data" neutral:"" when:"training.init_from!=" since:"2"`                              // WidthNone, WidthFPI or WidthAKI: whether the model grows, and what copies of a coordinate are at first
	Depth            string  `json:"depth" class:"data" neutral:"stack" when:"growth.width!=" since:"2"`                               // DepthStack, DepthInterpolate or DepthZero: which layer a new one begins as
	Noise            float64 `json:"noise" class:"data" neutral:"0" when:"growth.width!=" since:"2"`                                   // tells copies apart without a change of the function, in parts of the standard deviation of the weights that read them
	RestartGenerator bool    `json:"restart_generator" class:"data" neutral:"false" when:"growth.width!= trained_generator" since:"2"` // the generator's own weights are drawn anew
	Optimizer        string  `json:"optimizer" class:"data" neutral:"reset" when:"growth.width!=" since:"2"`                           // OptimizerReset or OptimizerMapped: what becomes of the smaller model's moments
	Approximate      bool    `json:"approximate" class:"operation" neutral:"false" when:"growth.width!=" since:"2"`                    // allows shapes that keep the function only nearly
}

// Values of Growth.Width.
const (
	WidthNone = ""    // nothing grows
	WidthFPI  = "fpi" // the layer's own: the function stays (function-preserving initialisation)
	WidthAKI  = "aki" // those of the layer above, which are a start that is not the same twice (advanced knowledge initialisation)
)

// Values of Growth.Depth.
const (
	DepthStack       = "stack"       // 0 1 0 1
	DepthInterpolate = "interpolate" // 0 0 1 1
	DepthZero        = "zero"        // 0 1, and then layers that add nothing yet; under pre-LN alone, where it keeps the function
)

// Values of Growth.Optimizer.
const (
	OptimizerReset  = "reset"  // the optimizer starts anew
	OptimizerMapped = "mapped" // it goes on with the smaller model's moments, of which copies have their parts; AdamW alone
)

// Evaluation is the held-out sets: rows of the validation split for the losses, and as many rows of the test split for the
// frozen corrupted sets, drawn at random.
type Evaluation struct {
	Rows    int    `json:"rows" class:"data"`
	Metrics string `json:"metrics" class:"graph" neutral:""` // names from [RegisterMetric], with commas, that are recorded beside the usual ones

	Options Options `json:"options,omitzero"` // of the metrics, as METRIC.OPTION
}

// Task is what is trained. The zero Task is pretraining; any other trains the main model of training.init_from further, and
// its run is a fine-tuning run.
type Task struct {
	Name        string `json:"name" since:"2" class:"graph" neutral:""`                                // "" pretrains; else a task that package tasks knows
	Data        string `json:"data" since:"2" class:"data" neutral:"" path:"true" when:"task.name!="`  // the file or folder with the task's examples; "" where the task brings its own
	FromScratch bool   `json:"from_scratch" since:"2" class:"data" neutral:"false" when:"task.name!="` // leave the pretrained weights out: the control
	Pooling     string `json:"pooling" since:"2" class:"graph" neutral:"" when:"task.name!="`          // what a head that sees a whole row reads: "" or PoolingCLS
	Adaptation  string `json:"adaptation" since:"2" class:"graph" neutral:"" when:"task.name!="`       // what learns beside the task's head: AdaptationFull, …

	AdaptationOptions Options `json:"adaptation_options,omitzero"`
}

// PoolingCLS is a value of Task.Pooling: the state of [CLS], a dense layer with GELU, dropout, and a linear map, as in ELECTRA's
// code. The neutral one is the mean of the states over the real tokens, and one linear map that starts at 0.
const PoolingCLS = "cls"

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
		{prefix + ".feed_forward", cmp.Or(e.FeedForward, FeedForwardDense)},
		{prefix + ".feed_forward_options", e.FeedForwardOptions},
		{prefix + ".layer_sharing", cmp.Or(e.LayerSharing, LayerSharingNone)},
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
