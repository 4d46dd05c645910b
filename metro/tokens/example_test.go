// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"metrolab/metro/text"
	"metrolab/metro/tokens"
	_ "metrolab/metro/tokens/all"
)

// From a file of text to a file of ids. What was learned and written is in the cache afterwards.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path, cache := filepath.Join(dir, "moby.txt"), filepath.Join(dir, "cache")
	if err := os.WriteFile(path, []byte("Call me Ishmael.\n\nCall him Ahab, and call me again.\n"), 0o666); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	corpus, err := text.Prepare(ctx, path, cache, nil)
	if err != nil {
		log.Fatal(err)
	}
	tokenizer, err := tokens.Learn(ctx, corpus, tokens.Options{VocabSize: 50, Lowercase: true}, cache)
	if err != nil {
		log.Fatal(err)
	}
	files, err := tokens.Tokenize(ctx, corpus, tokenizer, cache, nil)
	if err != nil {
		log.Fatal(err)
	}
	stream, err := tokens.OpenStream(files.Paths[text.Train], tokenizer.VocabSize())
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	ids := make([]int32, stream.Len())
	if err := stream.Read(ids, 0); err != nil {
		log.Fatal(err)
	}
	for _, id := range ids[:10] {
		fmt.Printf("%s ", tokenizer.Token(id))
	}
	fmt.Println()
	// Output: call me i ##s ##h ##m ##a ##e ##l .
}
