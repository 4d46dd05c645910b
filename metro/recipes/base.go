// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// Base is METRO at the size of COCO-LM base and METRO-T0 base: 12 layers of width 768 and a full-width generator of 4.
//
// Sources, by certainty:
//   - read in published code (COCO-LM, METRO-T0): generator of 4 layers at full width without dropout, RTD weight 50
//     over all tokens, zero-initialised RTD output, relative buckets 32/128, shared token and position tables,
//     post-LN, masking 15 %, Adam β 0.9/0.98 and ε 1e-6, weight decay 0.01, rows of 512, 2,048 rows a step, 125,000
//     steps, warm-up 10,000 then linear decay to 0, peak learning rate 4e-4 (METRO-T0 base).
//   - abstract and notes: the simplified CLM at masked positions, weight 1.
//   - ours: 100 % [MASK] (COCO-LM's choice; METRO-LM's own is not known), clip 2 (METRO-T0 base++; base had none),
//     N(0, 0.02²) weights (METRO-LM's "scaled initialisation" is not public).
//
// Cost: about 131 G tokens, a cluster's work. Here it is for planning and for one's own hardware; `--set` cuts it down.
//
//	metro pretrain --recipe base --corpus PATH
func Base() metro.Config {
	encoder := metro.Encoder{
		Layers: 12, Width: 768, Heads: 12, FFN: 3072, Activation: "gelu", Norm: metro.NormPost, Dropout: 0.1, Epsilon: 1e-5,
		Init: metro.InitNormal, InitScale: metro.InitScaleNone,
	}
	generator := encoder
	generator.Layers, generator.Dropout = 4, 0
	return metro.Config{
		Data: metro.Data{VocabSize: 32768, Lowercase: true, SeqLen: 512},
		Main: encoder, Generator: generator,
		Positions: metro.Positions{Absolute: true, Relative: metro.RelativeSignedLog, Bins: 32, MaxDistance: 128, Scale: 1},
		Sharing:   metro.SharingTokenPosition,
		Masking:   metro.Masking{Rate: 0.15, Rule: "100/0/0", Pattern: metro.MaskIndependent},
		Replacements: metro.Replacements{
			Source: metro.SourceJoint, Dropout: metro.SampleZero,
			Temperature: 1, TemperatureSchedule: metro.TemperatureConstant, TemperatureDecay: 0.1,
		},
		Objective: metro.Objective{
			Name: "rtd_clm", GeneratorWeight: 1, RTDWeight: 50, CLMWeight: 1, SCLWeight: 1, CLM: metro.CLMSimplified,
			GeneratorHead: metro.GeneratorHeadNorm, RTDHead: metro.RTDHeadLinear, RTDZeroInit: true,
		},
		Optimizer: metro.Optimizer{
			LearningRate: 4e-4, Schedule: metro.ScheduleThen, WarmupSteps: 10_000, Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, BiasCorrection: true,
			WeightDecay: 0.01, ClipNorm: 2, LayerDecay: 1, LayerDecayRule: metro.LayerDecayExact,
		},
		Training: metro.Training{
			Steps: 125_000, BatchSize: 2048, LogEvery: 100, EvalEvery: 5_000, CheckpointEvery: 1_000, KeepCheckpoints: 2,
			Accumulate: 1, MatMul: metro.MatMulFloat32,
		},
		Evaluation: metro.Evaluation{Rows: 4096},
	}
}
