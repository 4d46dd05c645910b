// SPDX-License-Identifier: Apache-2.0

// Package hf reads and writes Hugging Face folders: config.json, model.safetensors and the tokenizer's files.
//
// A pair is a folder with two in it, as ELECTRA has them:
//
//	DIR/discriminator/   the main model   (ElectraForPreTraining)
//	DIR/generator/       the generator    (ElectraForMaskedLM)
//
// [Load] reads a pair, or one folder alone: an ELECTRA generator or discriminator, an encoder with BERT's names, with its
// masked language modelling head or without (a main model), or what [Export] wrote. The names of BERT's first years, such as
// LayerNorm.gamma, are read too. It finds the shape of the models and what embeddings they share. A
// folder is a [weights.Source], whose tensors have the names of this project's checkpoints, which are variable paths with
// dots for slashes:
//
//	electra.encoder.layer.0.attention.self.query.weight [out, in]  ↔  main.layer_0.attention.query.weights [in, out]
//
// [Export] writes such a pair. What ELECTRA has a place for loads in transformers with no missing and no unexpected
// key: post-LN layers, learned absolute positions, a projected RTD head, a normalised generator head. A model with more
// (a relative position bias, a corrective head, pre-LN, a linear RTD head) is written under the model_type "metro",
// with the same names under another prefix, so that no other program can take it for the ELECTRA that it is not.
//
// [ExportFactors] writes matrices of low rank as their factors, named products.0.rows and so on, under the same model_type; config.json
// says of which tensors they are the product. A [Folder] shows these tensors whole, and multiplies when they are read.
//
// Tensors are read one at a time, when they are asked for, in passing from the file to where they belong: none stands in
// memory twice.
package hf
