// SPDX-License-Identifier: Apache-2.0

// Package weights is a trained model's weights as a value, wherever they come from.
//
// A [Source] is named tensors and the model that names them: [metro.Describe] of its config says what each is. The
// checkpoint of a run is one (see [OpenCheckpoint]), and so is a Hugging Face folder (see package hf).
//
// What is done with weights is a function of sources, the same for all:
//
//	Hash      names them by their content
//	Held      says which weights of a model are among them
//	Agree     says whether a model of another config computes the same with them
//	As        is a source again, the weights as a model of another config has them
//	Restore   sets a model's variables
//
// Matrices of low rank can be stored as factors, a [Product]; a source that is [Factored] says so to those who ask, and reads as
// any other to those who do not.
//
// A weight is found in another model by its [metro.Place], so that the two need not share the same tables.
package weights
