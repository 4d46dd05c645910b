// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// ElectraBase is ELECTRA-base: 12 layers of width 768 that detect replaced tokens, beside a generator of 12 layers a
// third as wide, which shares the embeddings and their layer normalisation.
//
//   - Read in ELECTRA's published code: shapes, head size 64, generator ratio, sharing, both heads, 15 % of the positions
//     drawn with replacement (14.0 % of the tokens in effect), of which 15 % stay visible and none is random, samples from
//     the pass with dropout, RTD weight 50, truncated N(0, 0.02²), Adam β 0.9/0.999 and ε 1e-6 without bias correction,
//     decay 0.01, clip 1, warm-up of 10,000 steps multiplied by linear decay, learning rate, rows, batch, steps.
//   - Memory: ε 1e-12 of the layer normalisations; lower case.
//   - Left out: where the code draws a position twice it writes a token between its two samples; here the first sample
//     stands (masking.electra_collisions=true does as the code does). Rows are cut from one stream, not made of pairs of
//     segments, so all tokens are of type 0.
//   - Parameters: 108,891,648 in the encoder, 109,483,009 with the RTD head; 9,903,418 in the generator.
//   - Cost: 100 billion tokens, about 6e19 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe electra-base --corpus PATH
func ElectraBase() metro.Config {
	encoder := metro.Encoder{
		Layers: 12, Width: 768, Heads: 12, FFN: 3072, FeedForward: metro.FeedForwardDense, LayerSharing: metro.LayerSharingNone, Activation: "gelu", Norm: metro.NormPost, Dropout: 0.1, Epsilon: 1e-12,
		Init: metro.InitTruncated, InitScale: metro.InitScaleNone,
	}
	return withGenerator(metro.Config{
		Data:       metro.Data{VocabSize: 30_522, Lowercase: true, SeqLen: 512},
		Embeddings: metro.Embeddings{TokenTypes: 2, Kind: metro.EmbedderTable},
		Main:       encoder, Generator: encoder,
		Positions: metro.Positions{Absolute: true, Relative: metro.RelativeNone, Bins: 32, MaxDistance: 128, Scale: 1},
		Sharing:   metro.SharingTokenPositionNorm,
		Masking:   metro.Masking{Rate: 0.15, Rule: "85/15/0", Pattern: metro.MaskIndependent, WithReplacement: true},
		Replacements: metro.Replacements{
			Source: metro.SourceJoint, Dropout: metro.SampleTrain,
			Temperature: 1, TemperatureSchedule: metro.TemperatureConstant, TemperatureDecay: 0.1,
		},
		Objective: metro.Objective{
			Name: "rtd", GeneratorWeight: 1, RTDWeight: 50, CLMWeight: 1, SCLWeight: 1, CLM: metro.CLMSimplified,
			GeneratorHead: metro.GeneratorHeadNorm, RTDHead: metro.RTDHeadProjected,
		},
		Optimizer: metro.Optimizer{
			Name:         metro.OptimizerAdamW,
			LearningRate: 2e-4, Schedule: metro.ScheduleTimes, WarmupSteps: 10_000, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6,
			WeightDecay: 0.01, ClipNorm: 1, LayerDecay: 1, LayerDecayRule: metro.LayerDecayElectra,
		},
		Training: metro.Training{
			Steps: 766_000, BatchSize: 256, LogEvery: 100, EvalEvery: 5_000, CheckpointEvery: 1_000, KeepCheckpoints: 2,
			Accumulate: 1, MatMul: metro.MatMulFloat32, Activations: metro.ActivationsFloat32,
		},
		Growth:     metro.Growth{Depth: metro.DepthStack, Optimizer: metro.OptimizerReset},
		Evaluation: metro.Evaluation{Rows: 4096},
	}, "narrow_third")
}
