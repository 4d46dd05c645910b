// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"

	"metrolab/internal/usererr"
	"metrolab/layers"
)

// Config says everything that decides the numbers of a run. Two equal configs on equal data give equal runs. The JSON
// names are those of the command's --set flag.
type Config struct {
	Seed       int64      `json:"seed"`       // of every random stream
	Data       Data       `json:"data"`       // tokenizer and rows
	Main       Encoder    `json:"main"`       // the main model, the one that is kept
	Generator  Encoder    `json:"generator"`  // the auxiliary model, dropped after pretraining
	Positions  Positions  `json:"positions"`  // of both
	Sharing    string     `json:"sharing"`    // embedding tables of both: SharingTokenPosition or SharingNone
	Objective  Objective  `json:"objective"`  // what is trained
	Optimizer  Optimizer  `json:"optimizer"`  // AdamW and the learning rate over time
	Training   Training   `json:"training"`   // how long, and what is written down
	Evaluation Evaluation `json:"evaluation"` // held-out rows
}

// Values of Config.Sharing.
const (
	SharingTokenPosition = "token_position" // one token and one position table for both models (METRO-T0's token_pos)
	SharingNone          = "none"           // each model has its own
)

// Data is how text becomes rows.
type Data struct {
	VocabSize int  `json:"vocab_size"` // asked of the tokenizer trainer; the whole alphabet is kept, so V can be larger
	Lowercase bool `json:"lowercase"`
	SeqLen    int  `json:"seq_len"` // S, [CLS] included
}

// Encoder is the shape of one Transformer encoder.
type Encoder struct {
	Layers     int     `json:"layers"`
	Width      int     `json:"width"` // H
	Heads      int     `json:"heads"`
	FFN        int     `json:"ffn"`        // inner width of the feed-forward map
	Activation string  `json:"activation"` // "gelu" or "gelu_tanh"
	Dropout    float64 `json:"dropout"`    // METRO's generator has none, so that one pass serves its loss and its samples
	Epsilon    float64 `json:"epsilon"`    // of layer normalisation
	Init       string  `json:"init"`       // of dense weights: "normal" N(0, 0.02²) or "fan_in" N(0, 1/fan-in)
}

// Positions is how the models know where a token stands: a learned absolute table and, unless Relative is "none", a
// relative bias on the attention logits, one table an encoder, shared by its layers.
type Positions struct {
	Relative    string  `json:"relative"` // RelativeSignedLog or RelativeNone
	Bins        int     `json:"bins"`
	MaxDistance int     `json:"max_distance"`
	Scale       float64 `json:"scale"` // the bias is multiplied by this; published recipes have 1, short runs learn faster with more
}

// Values of Positions.Relative.
const (
	RelativeSignedLog = "signed_log" // see [layers.SignedLogBucket]
	RelativeNone      = "none"
)

// Objective weighs the losses: generator + RTDWeight·RTD + CLMWeight·CLM.
type Objective struct {
	MaskRate  float64 `json:"mask_rate"`  // part of each row's real tokens that is masked
	RTDWeight float64 `json:"rtd_weight"` // 50 in ELECTRA, COCO-LM and METRO-T0
	RTDHead   string  `json:"rtd_head"`   // RTDHeadLinear or RTDHeadProjected
	CLMWeight float64 `json:"clm_weight"` // of the simplified CLM: cross-entropy at masked positions, no copy term

	GeneratorHead string `json:"generator_head"` // GeneratorHeadNorm or GeneratorHeadPlain
}

// Values of Objective.GeneratorHead.
const (
	GeneratorHeadNorm  = "norm"  // dense, activation, layer normalisation, tied output (ELECTRA, COCO-LM, METRO-T0)
	GeneratorHeadPlain = "plain" // the same without the normalisation: leaves the unigram plateau much sooner in short runs
)

// Values of Objective.RTDHead. The output weights start at 0 in both, so RTD starts at ln 2.
const (
	RTDHeadLinear    = "linear"    // one linear map H → 1 (COCO-LM, METRO-T0 "simple")
	RTDHeadProjected = "projected" // dense, activation, linear (ELECTRA)
)

// Optimizer is AdamW with bias correction, a global-norm clip, and linear warm-up followed by linear decay.
type Optimizer struct {
	LearningRate  float64 `json:"learning_rate"` // peak
	WarmupSteps   int     `json:"warmup_steps"`
	FinalFraction float64 `json:"final_fraction"` // of the peak, at the last step
	Beta1         float64 `json:"beta1"`
	Beta2         float64 `json:"beta2"`
	Epsilon       float64 `json:"epsilon"`
	WeightDecay   float64 `json:"weight_decay"` // decoupled; not on biases and layer normalisation
	ClipNorm      float64 `json:"clip_norm"`    // of all gradients together; 0 = off
}

// Training is the length of a run and the cadence of its records, all in steps.
type Training struct {
	Steps           int `json:"steps"`
	BatchSize       int `json:"batch_size"` // B, rows a step
	LogEvery        int `json:"log_every"`
	EvalEvery       int `json:"eval_every"`
	CheckpointEvery int `json:"checkpoint_every"`
	KeepCheckpoints int `json:"keep_checkpoints"`
}

// Evaluation is the size of the held-out sets: rows of the validation split for the losses, and rows of the test
// split for the frozen corrupted set. Both are rounded down to whole batches.
type Evaluation struct {
	Rows int `json:"rows"`
}

// MaskedPositions returns P, the number of mask slots a row.
func (c Config) MaskedPositions() int {
	return max(1, int(math.Round(c.Objective.MaskRate*float64(c.Data.SeqLen))))
}

// GraphKey names the computation of a training step: configs with equal keys, on equal vocabularies, can share one
// compiled program, because what they differ in (seed, learning rate, loss weights, bias scale, cadence) is an input.
func (c Config) GraphKey() string {
	c.Seed = 0
	c.Data.VocabSize, c.Data.Lowercase = 0, false
	c.Positions.Scale = 0
	c.Objective.RTDWeight, c.Objective.CLMWeight = 0, 0
	c.Optimizer.LearningRate, c.Optimizer.WarmupSteps, c.Optimizer.FinalFraction = 0, 0, 0
	c.Training = Training{BatchSize: c.Training.BatchSize}
	c.Evaluation = Evaluation{}
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // only NaN or Inf, which Validate refuses
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Validate reports everything that is wrong with c at once, each problem with its field, the values and the way out.
func (c Config) Validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, usererr.New(format, args...)) }
	positive := func(path string, v int) {
		if v <= 0 {
			bad("%s must be positive, it is %d", path, v)
		}
	}
	within := func(path string, v, low, high float64) {
		if !(v >= low && v <= high) {
			bad("%s must be in [%g, %g], it is %g", path, low, high, v)
		}
	}
	oneOf := func(path, v string, values ...string) {
		for _, ok := range values {
			if v == ok {
				return
			}
		}
		bad("%s must be one of %q, it is %q", path, values, v)
	}
	encoder := func(path string, e Encoder) {
		positive(path+".layers", e.Layers)
		positive(path+".width", e.Width)
		positive(path+".heads", e.Heads)
		positive(path+".ffn", e.FFN)
		if e.Heads > 0 && e.Width%e.Heads != 0 {
			bad("%s.heads must divide %s.width, but %d heads do not divide width %d", path, path, e.Heads, e.Width)
		}
		if _, ok := layers.Activations[e.Activation]; !ok {
			bad(`%s.activation must be "gelu" or "gelu_tanh", it is %q`, path, e.Activation)
		}
		oneOf(path+".init", e.Init, "normal", "fan_in")
		within(path+".dropout", e.Dropout, 0, 0.9)
		within(path+".epsilon", e.Epsilon, 1e-12, 1e-2)
	}

	positive("data.vocab_size", c.Data.VocabSize)
	if c.Data.SeqLen < 4 {
		bad("data.seq_len must be at least 4, it is %d", c.Data.SeqLen)
	}
	encoder("main", c.Main)
	encoder("generator", c.Generator)
	oneOf("sharing", c.Sharing, SharingTokenPosition, SharingNone)
	oneOf("positions.relative", c.Positions.Relative, RelativeSignedLog, RelativeNone)
	if c.Positions.Relative != RelativeNone && (c.Positions.Bins < 4 || c.Positions.MaxDistance <= c.Positions.Bins/4+1) {
		bad("positions.bins must be at least 4 and positions.max_distance above bins/4+1, they are %d and %d", c.Positions.Bins, c.Positions.MaxDistance)
	}
	within("positions.scale", c.Positions.Scale, 0, 1e4)
	within("objective.mask_rate", c.Objective.MaskRate, 0.001, 0.9)
	within("objective.rtd_weight", c.Objective.RTDWeight, 0, 1e6)
	within("objective.clm_weight", c.Objective.CLMWeight, 0, 1e6)
	oneOf("objective.generator_head", c.Objective.GeneratorHead, GeneratorHeadNorm, GeneratorHeadPlain)
	oneOf("objective.rtd_head", c.Objective.RTDHead, RTDHeadLinear, RTDHeadProjected)

	o := c.Optimizer
	within("optimizer.learning_rate", o.LearningRate, 0, 10)
	within("optimizer.final_fraction", o.FinalFraction, 0, 1)
	within("optimizer.beta1", o.Beta1, 0, 0.99999)
	within("optimizer.beta2", o.Beta2, 0, 0.99999999)
	within("optimizer.epsilon", o.Epsilon, 1e-16, 1)
	within("optimizer.weight_decay", o.WeightDecay, 0, 10)
	within("optimizer.clip_norm", o.ClipNorm, 0, 1e9)
	if o.WarmupSteps < 0 || o.WarmupSteps > c.Training.Steps {
		bad("optimizer.warmup_steps must be between 0 and training.steps (%d), it is %d", c.Training.Steps, o.WarmupSteps)
	}
	positive("training.steps", c.Training.Steps)
	positive("training.batch_size", c.Training.BatchSize)
	positive("training.log_every", c.Training.LogEvery)
	positive("training.eval_every", c.Training.EvalEvery)
	positive("training.checkpoint_every", c.Training.CheckpointEvery)
	positive("training.keep_checkpoints", c.Training.KeepCheckpoints)
	if c.Evaluation.Rows < c.Training.BatchSize {
		bad("evaluation.rows must be at least training.batch_size (%d), it is %d", c.Training.BatchSize, c.Evaluation.Rows)
	}
	return errors.Join(problems...)
}
