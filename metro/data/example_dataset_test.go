// SPDX-License-Identifier: Apache-2.0

package data_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"metrolab/metro/data"
	"metrolab/metro/masking"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
	_ "metrolab/metro/tokens/all"
)

// From a file of text to the first batch of a run: one row of twelve tokens, a quarter of its ordinary ones masked by
// whole words.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path, cache := filepath.Join(dir, "moby.txt"), filepath.Join(dir, "cache")
	var prose strings.Builder
	for i := range 40 {
		fmt.Fprintf(&prose, "Some %d years ago I thought I would sail about a little.\n\n", i)
	}
	if err := os.WriteFile(path, []byte(prose.String()), 0o666); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	corpus, err := text.Prepare(ctx, path, cache, nil)
	if err != nil {
		log.Fatal(err)
	}
	tokenizer, err := tokens.Learn(ctx, corpus, tokens.Options{VocabSize: 65, Lowercase: true}, cache)
	if err != nil {
		log.Fatal(err)
	}
	set, err := data.NewDataset(ctx, corpus, tokenizer, 12, cache, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer set.Close()

	loader := data.Loader{
		Rows: set.Train, Seed: 1, Stream: "train/", Shuffle: true, BatchSize: 1, Slots: 3,
		Masking: data.Masking{Rate: 0.25, Pattern: masking.WholeWord},
		MaskID:  set.MaskID, Maskable: set.Maskable, Continues: set.Continues, Vocab: set.Vocab,
	}
	batch, err := loader.Batch(0)
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range [][]int32{batch.Tokens, batch.Masked} {
		var words []string
		for _, id := range row {
			words = append(words, tokenizer.Token(id))
		}
		fmt.Println(strings.Join(words, " "))
	}
	// Output:
	// [CLS] ##d sa ##i ##l ab ##ou ##t a li ##t ##t
	// [CLS] ##d sa ##i ##l [MASK] [MASK] [MASK] a li ##t ##t
}

// A text of nine tokens is cut into windows that overlap by half; each token is answered for by one of them.
func ExampleWindows() {
	cut := data.Windows{SeqLen: 8, Special: tokens.Special{CLS: 2, SEP: 3}, Closed: true, Overlap: true}
	for _, w := range cut.Cut(0, []int32{11, 12, 13, 14, 15, 16, 17, 18, 19}) {
		fmt.Println(w.Tokens, "answers for", w.Tokens[w.Place(w.From):w.Place(w.To)])
	}
	// Output:
	// [2 11 12 13 14 15 16 3] answers for [11 12 13 14]
	// [2 14 15 16 17 18 19 3] answers for [15 16 17 18 19]
}
