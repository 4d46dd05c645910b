// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/layers"
)

// EmbedderBytes is a value of Embeddings.Kind: [layers.BytePool], of which [Model.Spelling] knows the bytes. Its weights do not
// grow with the vocabulary.
const EmbedderBytes = "bytes"

// The values of its option pool.
const (
	PoolMasked = "masked" // places without a byte are left out
	PoolAll    = "all"    // they are read and counted
)

// freeTokens are the tokens that stand for nothing written: those that every tokenizer has, [PAD], [UNK], [CLS], [SEP] and [MASK].
const freeTokens = 5

// bytesEntry has 12 bytes a token, and the shape of the blocks, from Super Tiny Language Models' published code, which has
// byte_width=128 and pool=all: 2.4 million weights and more, so that it pays only where a table has more than that. An eighth of the
// width, and pads that change nothing, are ours.
var bytesEntry = EmbedderEntry{
	Part{Name: EmbedderBytes, Version: 1, Options: []Option{
		{Name: "bytes", Neutral: 12, Low: 1, High: 256, Help: "bytes that are read of a token; those behind are cut off"},
		{Name: "byte_width", Neutral: 16, Low: layers.BytePoolHeads, High: 4096, Help: "of the vectors of bytes, a multiple of 8; 128 is published"},
		{Name: "pool", Neutral: PoolMasked, Choices: []string{PoolAll, PoolMasked}, Help: "of what the mean is taken: of a token's bytes (masked), or of all places, as published (all)"},
	}},
	func(vocab, width int, init layers.Initializer, option func(string) any) layers.Embedder {
		return layers.BytePool{
			Vocab: vocab, Width: width, Bytes: option("bytes").(int), ByteWidth: option("byte_width").(int), All: option("pool") == PoolAll,
			Free: freeTokens, Init: init,
		}
	},
}

// BytePool returns the byte-pooled embedder of both models over vocab tokens, which does not know their bytes; false if c has another.
func (c Config) BytePool(vocab int) (layers.BytePool, bool) {
	if _, ok := embedders.find(cmp.Or(c.Embeddings.Kind, EmbedderTable)); !ok {
		return layers.BytePool{}, false
	}
	pool, ok := c.embedder(vocab).(layers.BytePool)
	return pool, ok
}

// SpellingKey names what of [Model.Spelling] is built into graphs: "" where the model has a table.
func (m Model) SpellingKey() string {
	if _, ok := m.Config.BytePool(m.Vocab); !ok {
		return ""
	}
	h := sha256.New()
	for _, bytes := range m.Spelling.Bytes {
		fmt.Fprintf(h, "%x,", bytes)
	}
	fmt.Fprint(h, m.Spelling.Free)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// vectors are the matrices that byte-pooled embedders have computed in a pass, by the owner of what they were computed of.
type vectors map[Owner]*Node

// pooled turns the weights of a byte-pooled embedder into the table that they stand for, once a pass, and other tables into
// themselves.
func (m Model) pooled(scope *model.Scope, t tables, owner Owner) tables {
	pool, ok := t.embedder.(layers.BytePool)
	if !ok {
		return t
	}
	table, ok := m.vectors[owner]
	if !ok {
		pool.Spelling = m.Spelling
		if n := len(m.Spelling.Bytes); n > 0 && n < m.Vocab { // rows that no token has
			pool.Spelling.Bytes = append(m.Spelling.Bytes[:n:n], make([][]byte, m.Vocab-n)...)
		}
		table = pool.Output(scope, t.token)
		if m.vectors != nil {
			m.vectors[owner] = table
		}
	}
	t.embedder, t.token = layers.TableEmbedder{Vocab: m.Vocab, Width: pool.Width}, []*Node{table}
	return t
}
