// SPDX-License-Identifier: Apache-2.0

package metro

import "metrolab/layers"

// EmbedderEntry is a registered way to turn tokens into vectors: what config field embeddings.kind can name, with its options
// as embeddings.options.NAME.
type EmbedderEntry struct {
	Part
	// Build makes the embedder of vocab tokens in vectors of a width, whose tables start as init says. option gives the value
	// of one of the entry's options. A [layers.BytePool] is told what the tokens are written with, and computes their vectors once
	// for all that reads them, as with [EmbedderBytes].
	Build func(vocab, width int, init layers.Initializer, option func(name string) any) layers.Embedder
}

// EmbedderTable is the neutral value of Embeddings.Kind: [layers.TableEmbedder].
const EmbedderTable = "table"

var embedders = newRegistry("embedder",
	EmbedderEntry{
		Part{Name: EmbedderTable, Version: 1},
		func(vocab, width int, init layers.Initializer, _ func(string) any) layers.Embedder {
			return layers.TableEmbedder{Vocab: vocab, Width: width, Init: init}
		},
	},
	bytesEntry,
)

// AddEmbedder makes an embedder of one's own available. See [RegisterObjective] for name and version.
func AddEmbedder(entry EmbedderEntry) { embedders.add(entry) }
