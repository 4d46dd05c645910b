// SPDX-License-Identifier: Apache-2.0

// Package corruptions keeps what a frozen generator has drawn for a run, row by row, so that main models train on it without a
// generator: the idea of Fast-ELECTRA's cheaper half, drawn once and read by any number of runs. That nothing is drawn in
// training at all is ours; see docs/systems.md.
//
// A folder of corruptions is
//
//	corruptions.json            the index: what was drawn and for which rows, lengths, checksums
//	corruptions.partial.json    the index of the shards that are whole, while more are made
//	tokenizer.json              the generator's
//	00000.rows, 00001.rows, …   the shards
//
// A row is P slots of a position, 2 bytes, and the token that was drawn there, 2 bytes or, over a vocabulary beyond 65,536, 4; all
// little-endian. A slot that holds nothing has the position 65,535. First come the rows of training, step by step in the order of
// each batch, and then those of the validation split. Positions follow from the seed of the run that reads, too: they are kept to
// find out whose rows these are.
package corruptions
