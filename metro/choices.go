// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"maps"
	"slices"

	"metrolab/layers"
)

// Choices returns the values that a config field can have, by the field's path, for all fields whose values have names.
// Registered objectives, sources and metrics are among them.
func Choices() map[string][]string {
	encoder := map[string][]string{
		"feed_forward": feedForwards.names(), "layer_sharing": {LayerSharingNone, LayerSharingFeedForward, LayerSharingAll},
		"activation": slices.Sorted(maps.Keys(layers.Activations)),
		"norm":       {NormPost, NormPre},
		"init":       {InitNormal, InitTruncated, InitFanIn, InitT5},
		"init_scale": {InitScaleNone, InitScaleDepth},
	}
	choices := map[string][]string{
		"data.tokenizer":                    {TokenizerWordPiece, TokenizerBPE, TokenizerSentencePiece},
		"positions.relative":                attentionBiases.names(),
		"embeddings.kind":                   embedders.names(),
		"sharing":                           {SharingNone, SharingToken, SharingTokenPosition, SharingTokenPositionNorm, SharingAll, SharingGDES},
		"masking.pattern":                   patterns.names(),
		"replacements.source":               sources.names(),
		"replacements.dropout":              {SampleZero, SampleTrain, SampleEval},
		"replacements.temperature_schedule": temperatures.names(),
		"objective.name":                    objectives.names(),
		"objective.clm":                     {CLMSimplified, CLMWeighted, CLMMixture, CLMMixtureFlow, CLMWithoutCopy},
		"objective.generator_head":          {GeneratorHeadNorm, GeneratorHeadPlain},
		"objective.rtd_head":                {RTDHeadLinear, RTDHeadProjected},
		"optimizer.name":                    optimizers.names(),
		"optimizer.schedule":                schedules.names(),
		"optimizer.layer_decay_rule":        {LayerDecayExact, LayerDecayElectra},
		"growth.width":                      {WidthNone, WidthFPI, WidthAKI},
		"growth.optimizer":                  {OptimizerReset, OptimizerMapped},
		"growth.depth":                      {DepthStack, DepthInterpolate, DepthZero},
		"training.matmul":                   {MatMulFloat32, MatMulTF32, MatMulBFloat16},
		"training.activations":              {ActivationsFloat32, ActivationsBFloat16},
		"task.adaptation":                   append([]string{AdaptationFull}, adaptations.names()...),
	}
	for name, values := range encoder {
		choices["main."+name], choices["generator."+name] = values, values
	}
	return choices
}
