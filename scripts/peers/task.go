// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/safetensors"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
	"metrolab/metro/tokens/subword"
	"metrolab/metro/tokens/wordpiece"
)

// shape is what all peers of a table do: pretraining steps of a model, or, without a recipe, encoding or preparation of a text.
type shape struct {
	name   string
	about  string
	recipe string
	batch  int                                                    // rows a step
	steps  int                                                    // in one measurement
	learn  func(texts iter.Seq[string]) (tokens.Tokenizer, error) // the tokenizer, without a recipe
}

var shapes = []shape{
	{"electra-small", "12 layers of width 256, a generator of 12 of width 64, 16 rows of 128", "electra-small", 16, 1, nil},
	{"metro-base", "12 layers of width 768, a generator of 4, relative positions and CLM, 4 rows of 128", "metro-base", 4, 1, nil},
	{"tiny", "2 layers of width 64, a generator of 1, relative positions and CLM, 32 rows of 32", "tiny", 32, 20, nil},
	{"wordpiece", "a WordPiece tokenizer of 30,522 pieces" + overText, "", 0, 1, learnWordPiece},
	{"bpe", "a byte-level BPE tokenizer of 30,522 pieces" + overText, "", 0, 1, learnBPE},
	{"sentencepiece", "a SentencePiece BPE tokenizer of 30,522 pieces" + overText, "", 0, 1, learnSentencePiece},
	{"unigram", "the same pieces as a Unigram model, scored by their ranks" + overText, "", 0, 1, learnUnigram},
	{prepareName, "from a file of text to tokens on the disk, with a WordPiece tokenizer of 30,522 pieces" + overText + ", a tenth of them twice", "", 0, 1, learnWordPiece},
}

// prepareName is the shape that begins with a file of text and ends with files of tokens.
const prepareName = "prepare"

const overText = " over 4 MB of the comments of the Go distribution"

// pieces is the size of the tokenizers' vocabularies.
const pieces = 30_522

func learnWordPiece(texts iter.Seq[string]) (tokens.Tokenizer, error) {
	return wordpiece.Train(texts, wordpiece.Options{VocabSize: pieces, Lowercase: true})
}

func learnBPE(texts iter.Seq[string]) (tokens.Tokenizer, error) {
	return subword.Train(texts, subword.Options{VocabSize: pieces})
}

func learnSentencePiece(texts iter.Seq[string]) (tokens.Tokenizer, error) {
	return subword.Train(texts, subword.Options{VocabSize: pieces, SentencePiece: true})
}

// learnUnigram gives every piece of a SentencePiece tokenizer the score −ln(1 + id), since no Unigram model is learned here:
// what a text costs depends on pieces, not on scores. They are rounded to what both programs read from the file and add up without
// an error, so that equal sums are equal in both.
func learnUnigram(texts iter.Seq[string]) (tokens.Tokenizer, error) {
	t, err := subword.Train(texts, subword.Options{VocabSize: pieces, SentencePiece: true})
	if err != nil {
		return nil, err
	}
	var file map[string]any
	if err := json.Unmarshal(t.JSON(), &file); err != nil {
		return nil, err
	}
	var vocab [][2]any
	for id := range int32(t.VocabSize()) {
		vocab = append(vocab, [2]any{t.Token(id), -math.Round(1024*math.Log1p(float64(id))) / 1024})
	}
	file["model"] = map[string]any{"type": "Unigram", "vocab": vocab, "unk_id": t.Special().UNK, "byte_fallback": true}
	raw, err := json.Marshal(file)
	if err != nil {
		return nil, err
	}
	return subword.Parse(raw)
}

// Ids that every tokenizer of metrolab's has at the beginning.
const (
	padID, clsID, sepID, maskID = 0, 2, 3, 4
	firstID                     = 5
)

// batchCount is the number of batches that are used in turn.
const batchCount = 4

// config is the shape's recipe in float32, on rows of 128 at most, without what libraries do each in a way of their own: dropout,
// schedules, positions that are masked twice, Adam without its bias correction.
func (s shape) config() (metro.Config, error) {
	c, err := recipes.Get(s.recipe)
	if err != nil {
		return c, err
	}
	c.Data.SeqLen = min(c.Data.SeqLen, 128)
	c.Positions.Rows = c.PositionRows()
	c.Main.Dropout, c.Generator.Dropout, c.Replacements.Dropout = 0, 0, metro.SampleZero
	c.Masking.Rule, c.Masking.WithReplacement = "100/0/0", false
	c.Optimizer.Schedule, c.Optimizer.WarmupSteps, c.Optimizer.FinalFraction = metro.ScheduleThen, 0, 1
	c.Optimizer.BiasCorrection = true
	c.Training.BatchSize, c.Training.MatMul = s.batch, metro.MatMulFloat32
	return c, c.Validate()
}

// batches are rows of tokens as a text has them, the frequent ones first in the vocabulary, with the positions that are masked.
func batches(c metro.Config) []data.Batch {
	b, s, p := c.Training.BatchSize, c.Data.SeqLen, c.MaskedPositions()
	rng := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rng, 1.1, 4, uint64(c.Data.VocabSize-firstID-1))
	var list []data.Batch
	for range batchCount {
		batch := data.Batch{Rows: make([]float32, b)}
		for range b {
			row := make([]int32, s)
			for i := range row {
				row[i] = firstID + int32(zipf.Uint64())
			}
			row[0], row[s-1] = clsID, sepID
			masked := slices.Clone(row)
			at := rng.Perm(s - 2)[:p]
			sort.Ints(at)
			for _, i := range at {
				masked[1+i] = maskID
				batch.Positions = append(batch.Positions, int32(1+i))
				batch.Weights = append(batch.Weights, 1)
				batch.Uniforms = append(batch.Uniforms, float32(rng.Uint64N(1<<23))/(1<<23))
			}
			batch.Tokens, batch.Masked = append(batch.Tokens, row...), append(batch.Masked, masked...)
		}
		list = append(list, batch)
	}
	return list
}

// write writes the shape's task for the peers in Python into dir; see peer.py, tokenizerpeer.py and preparepeer.py.
func (s shape) write(ctx context.Context, dir string) error {
	if s.recipe == "" {
		return s.writeText(ctx, dir)
	}
	c, err := s.config()
	if err != nil {
		return err
	}
	about := map[string]any{"config": c, "vocab": c.Data.VocabSize, "pad": padID, "mask": maskID}
	if err := runs.WriteJSON(filepath.Join(dir, "task.json"), about); err != nil {
		return err
	}
	if err := writeBatches(filepath.Join(dir, "batches.safetensors"), c); err != nil {
		return err
	}
	store, err := initialWeights(c)
	if err != nil {
		return err
	}
	return writeWeights(filepath.Join(dir, "weights.safetensors"), c, store)
}

// writeBatches writes [batches] as tensors [batchCount, B, …].
func writeBatches(path string, c metro.Config) error {
	all := data.Join(batches(c)...)
	b, s, p := c.Training.BatchSize, c.Data.SeqLen, c.MaskedPositions()
	values := map[string]any{
		"tokens": all.Tokens, "masked": all.Masked, "positions": all.Positions, "weights": all.Weights, "uniforms": all.Uniforms,
	}
	infos := []safetensors.Info{
		{Name: "tokens", DType: "I32", Shape: []int{batchCount, b, s}},
		{Name: "masked", DType: "I32", Shape: []int{batchCount, b, s}},
		{Name: "positions", DType: "I32", Shape: []int{batchCount, b, p}},
		{Name: "weights", DType: "F32", Shape: []int{batchCount, b, p}},
		{Name: "uniforms", DType: "F32", Shape: []int{batchCount, b, p}},
	}
	return safetensors.WriteFile(path, infos, nil, func(i safetensors.Info, w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, values[i.Name])
	})
}

// writeWeights writes the weights in store that pretraining c reads, under their own names.
func writeWeights(path string, c metro.Config, store *model.Store) error {
	inv, _ := c.Inventory(c.Data.VocabSize)
	var infos []safetensors.Info
	paths := map[string]string{}
	for _, w := range inv {
		infos = append(infos, safetensors.Info{Name: w.Tensor(), DType: "F32", Shape: w.Shape})
		paths[w.Tensor()] = w.Path()
	}
	return safetensors.WriteFile(path, infos, nil, func(i safetensors.Info, w io.Writer) error {
		value, err := store.GetVariable(paths[i.Name]).Value()
		if err != nil {
			return err
		}
		flat, err := tensors.CopyFlatData[float32](value)
		if err != nil {
			return err
		}
		return binary.Write(w, binary.LittleEndian, flat)
	})
}

// textBytes is how much text the tokenizers encode.
const textBytes = 4 << 20

// writeText writes texts and a tokenizer that was trained on all of their corpus.
func (s shape) writeText(ctx context.Context, dir string) error {
	cache, err := text.CacheDir()
	if err != nil {
		return err
	}
	corpus, err := text.Prepare(ctx, text.Default, cache, nil)
	if err != nil {
		return err
	}
	var failure error
	tokenizer, err := s.learn(corpus.Texts(ctx, text.Train, &failure))
	if err = errors.Join(failure, err); err != nil {
		return fmt.Errorf("train the tokenizer: %w", err)
	}
	var texts []string
	bytes := 0
	for t := range corpus.Texts(ctx, text.Train, &failure) {
		if bytes >= textBytes {
			break
		}
		texts = append(texts, t)
		bytes += len(t)
	}
	if failure != nil {
		return failure
	}
	if err := tokenizer.Save(filepath.Join(dir, tokenizerFile)); err != nil {
		return err
	}
	if s.name == prepareName {
		return writeProse(dir, texts)
	}
	return runs.WriteJSON(filepath.Join(dir, textsFile), texts)
}

const tokenizerFile, textsFile = "tokenizer.json", "texts.json"

// makeTask writes the task into a new temporary folder, which the caller removes.
func (s shape) makeTask(ctx context.Context) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "peers-"+s.name+"-"); err != nil {
		return "", err
	}
	if err := s.write(ctx, dir); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("write the task %s: %w", s.name, err)
	}
	return dir, nil
}

// ignorance is the loss of a model that knows nothing, in its parts: ln V over the vocabulary, ln 2 between two classes.
func ignorance(c metro.Config) map[string]float64 {
	loss := map[string]float64{"generator": math.Log(float64(c.Data.VocabSize)), "rtd": math.Ln2}
	if c.Objective.Name == "rtd_clm" {
		loss["clm"] = loss["generator"]
	}
	return loss
}
