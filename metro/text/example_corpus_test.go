// SPDX-License-Identifier: Apache-2.0

package text_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"metrolab/metro/text"
)

// A folder of one's own text becomes a corpus: a paragraph a document, each in a split that follows from its words.
func ExamplePrepare() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	prose := "Call me Ishmael.\n\nSome years ago, never mind how long precisely,\nI thought I would sail about a little.\n"
	if err := os.WriteFile(filepath.Join(dir, "moby.txt"), []byte(prose), 0o666); err != nil {
		log.Fatal(err)
	}

	corpus, err := text.Prepare(context.Background(), filepath.Join(dir, "moby.txt"), filepath.Join(dir, "cache"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(corpus.Name, corpus.Stats.Total().Words, "words")
	for doc, err := range corpus.Documents(text.Train) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", doc.Label, doc.Text)
	}
	// Output:
	// moby 19 words
	// moby.txt: Call me Ishmael.
	// moby.txt: Some years ago, never mind how long precisely, I thought I would sail about a little.
}
