// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// CocoLMBase is COCO-LM base: 12 layers of width 768 with relative positions that detect replaced tokens, correct them,
// and tell rows apart by sequence contrast, beside a generator of 4 layers of the same width.
//
//   - Read in COCO-LM's published code and configuration: both shapes, relative buckets with one table an encoder,
//     N(0, 0.02²), shared tables and embedding normalisation, both heads, the CLM head without a map of its own, a second
//     pass without dropout for the samples, RTD weight 50, contrast weight 1 at temperature 1, post-LN with ε 1e-5, no
//     token types. In METRO-T0's vocabulary files: 32,768 tokens, lower case.
//   - Reported by its authors and readers: 100 % [MASK]; CLM weighted by the probability that the token was replaced
//     (the paper's text has the mixture: objective.clm=mixture); crops of 90 %; 125,000 steps of 2,048 rows of 512.
//   - Memory: buckets 32/128 (the code's default), learning rate 5e-4, warm-up of 10,000 steps, then linear decay, clip 2,
//     Adam β 0.9/0.98 and ε 1e-6, decay 0.01 (the last three are read in its fine-tuning script).
//   - Parameters: 110,615,424 in the encoder, 110,616,193 with the RTD head; 28,976,768 in the generator.
//   - Cost: 131 billion tokens, about 9e19 floating-point operations, and most of it again for the cropped rows.
//
// The command:
//
//	metro pretrain --recipe cocolm-base --corpus PATH
func CocoLMBase() metro.Config {
	encoder := metro.Encoder{
		Layers: 12, Width: 768, Heads: 12, FFN: 3072, FeedForward: metro.FeedForwardDense, LayerSharing: metro.LayerSharingNone, Activation: "gelu", Norm: metro.NormPost, Dropout: 0.1, Epsilon: 1e-5,
		Init: metro.InitNormal, InitScale: metro.InitScaleNone,
	}
	return withGenerator(metro.Config{
		Data: metro.Data{VocabSize: 32_768, Lowercase: true, SeqLen: 512},
		Main: encoder, Generator: encoder,
		Embeddings: metro.Embeddings{Kind: metro.EmbedderTable},
		Positions:  metro.Positions{Absolute: true, Relative: metro.RelativeSignedLog, Bins: 32, MaxDistance: 128, Scale: 1},
		Sharing:    metro.SharingTokenPositionNorm,
		Masking:    metro.Masking{Rate: 0.15, Rule: "100/0/0", Pattern: metro.MaskIndependent},
		Replacements: metro.Replacements{
			Source: metro.SourceJoint, Dropout: metro.SampleEval,
			Temperature: 1, TemperatureSchedule: metro.TemperatureConstant, TemperatureDecay: 0.1,
		},
		Objective: metro.Objective{
			Name: "rtd_clm_scl", GeneratorWeight: 1, RTDWeight: 50, CLMWeight: 1, SCLWeight: 1, CLM: metro.CLMWeighted,
			GeneratorHead: metro.GeneratorHeadNorm, RTDHead: metro.RTDHeadLinear,
		},
		Optimizer: metro.Optimizer{
			Name:         metro.OptimizerAdamW,
			LearningRate: 5e-4, Schedule: metro.ScheduleThen, WarmupSteps: 10_000, Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, BiasCorrection: true,
			WeightDecay: 0.01, ClipNorm: 2, LayerDecay: 1, LayerDecayRule: metro.LayerDecayExact,
		},
		Training: metro.Training{
			Steps: 125_000, BatchSize: 2048, LogEvery: 100, EvalEvery: 5_000, CheckpointEvery: 1_000, KeepCheckpoints: 2,
			Accumulate: 1, MatMul: metro.MatMulFloat32, Activations: metro.ActivationsFloat32,
		},
		Growth:     metro.Growth{Depth: metro.DepthStack, Optimizer: metro.OptimizerReset},
		Evaluation: metro.Evaluation{Rows: 4096},
	}, "shallow_third")
}
