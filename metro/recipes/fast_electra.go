// SPDX-License-Identifier: Apache-2.0

package recipes

import "metrolab/metro"

// FastElectra is Fast-ELECTRA's idea at the size of electra-base: the generator is a finished one that learns no more, and
// its samples become harder as the temperature falls. It needs a generator of its shape, from a run of electra-base or a
// Hugging Face folder, in replacements.checkpoint.
//
//   - Reported (abstract and reviews): a frozen generator, RTD alone, and a temperature that falls exponentially towards 1.
//   - Memory: the formula 1 + (T−1)·exp(−u/τ), and T = 2, τ = 0.1.
//   - Ours: all else is electra-base's; the paper's sizes, rates and steps are not known here.
//   - Parameters: 108,891,648 in the encoder, 109,483,009 with the RTD head; 33,740,602 in the generator, which does not learn.
//   - Cost: 100 billion tokens, about 5e19 floating-point operations.
//
// The command:
//
//	metro pretrain --recipe fast-electra --corpus PATH --set replacements.checkpoint=DIR
//
// metro corrupt --recipe fast-electra --source DIR --out DRAWN draws its samples once, for runs that need no generator.
func FastElectra() metro.Config {
	c := ElectraBase()
	c.Sharing = metro.SharingNone // a frozen table cannot be the main model's
	c.Generator.Dropout = 0
	r := &c.Replacements
	r.Source, r.Dropout = metro.SourceFrozen, metro.SampleZero
	r.Temperature, r.TemperatureSchedule, r.TemperatureDecay = 2, metro.TemperatureExponential, 0.1
	return c
}
