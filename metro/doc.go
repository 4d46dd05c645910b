// SPDX-License-Identifier: Apache-2.0

// Package metro is the METRO recipe for pretraining encoders with model-generated signals: a small masked language
// model, the generator, writes plausible wrong tokens into a text; the main model finds them (replaced token
// detection, RTD) and writes the right ones back (corrective language modelling, CLM).
//
// Each ingredient is one graph function that can be used alone: [SizeGenerator], [GeneratorLogits],
// [SampleReplacements], [Corrupt], [RTDLogits], [RTDLoss], [CorrectiveLogits], [CorrectiveLoss], [SequenceContrast],
// [Disentangle], [CrossEntropy]. [Model] is nothing but these put together, as [Config] says; [Choices] lists what it can
// say.
//
// What is trained is an objective: a function that asks a [Pass] for parts (generator logits, corrupted rows, states, …),
// each of which is built once, at the first request, and returns the terms of the loss. [RegisterObjective],
// [RegisterSource] and [RegisterMetric] add a program's own to those that ship.
//
// Sources: ELECTRA (Clark et al., 2020), COCO-LM (Meng et al., 2021), METRO-LM (Bajaj et al., 2022,
// arXiv:2204.06644) and the published code of COCO-LM and METRO-T0.
//
// Graph functions panic, as GoMLX's do; whoever runs them, such as package training, turns panics into errors. Shapes
// are written B (rows), S (positions), P (masked positions), H (width), V (vocabulary).
package metro
