// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"metrolab/internal/atomicfile"
	"metrolab/internal/randstream"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/tokens"
	"metrolab/metro/tokens/wordpiece"
)

// synthetic makes a text of ids for c in a folder: rows for eight batches at least, of tokens drawn by their rank as words are
// (Zipf's law), over a vocabulary of the size that the recipe asks for, of which every fourth piece continues a word. It is the
// same on every machine, and costs what text costs: neither a step nor the loader looks at what the ids mean. The caller closes
// the dataset.
func synthetic(c metro.Config, dir string) (*data.Dataset, error) {
	tokenizer, err := invented(c.Data.VocabSize, dir)
	if err != nil {
		return nil, err
	}
	const least = 1 << 18
	path := filepath.Join(dir, "train.json")
	n := max(least, 8*c.Training.BatchSize*c.Data.SeqLen)
	if err := tokens.WriteStream(path, tokenizer, zipf(tokenizer, n)); err != nil {
		return nil, err
	}
	special := tokenizer.Special()
	rows, err := data.OpenRows(path, c.Data.SeqLen, tokenizer.VocabSize(), special.CLS, special.PAD)
	if err != nil {
		return nil, err
	}
	return &data.Dataset{Tokenizer: tokenizer, Train: rows, Vocab: tokenizer.VocabSize(), PadID: special.PAD, MaskID: special.MASK}, nil
}

// invented is a tokenizer of a size.
func invented(vocab int, dir string) (tokens.Tokenizer, error) {
	lines := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	for i := len(lines); i < vocab; i++ {
		prefix := "w"
		if i%4 == 0 {
			prefix = "##w"
		}
		lines = append(lines, fmt.Sprint(prefix, i))
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(strings.Join(lines, "\n")+"\n")); err != nil {
		return nil, err
	}
	return wordpiece.LoadFolder(dir)
}

// zipf are n tokens of a stream, a separator behind about every 64th.
func zipf(t tokens.Tokenizer, n int) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		special := t.Special()
		ordinary := t.VocabSize() - 5
		rng := randstream.New(0, "bench/text")
		for range n {
			id := special.SEP
			if rng.IntN(64) > 0 {
				id = 5 + byRank(rng, ordinary)
			}
			if !yield(id) {
				return
			}
		}
	}
}

// byRank draws r below n with a probability in proportion to 1/(r+1), nearly.
func byRank(rng *rand.Rand, n int) int32 {
	return int32(min(float64(n-1), math.Pow(float64(n+1), rng.Float64())-1))
}

// modelOn is the model of c over the vocabulary of d. Sources of replacements that draw by frequency draw evenly: what they
// draw costs the same.
func modelOn(c metro.Config, d *data.Dataset) metro.Model {
	return metro.Model{
		Config: c, Vocab: d.Vocab, PadID: d.PadID, SepID: d.Tokenizer.Special().SEP, LogUniform: d.LogUniform(), LogUnigram: d.LogUniform(),
		Spelling: tokens.SpellingOf(c, d.Tokenizer),
	}
}
