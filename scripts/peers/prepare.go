// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"metrolab/internal/atomicfile"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
)

const textFile = "text.txt"

// writeProse writes texts as paragraphs of a file, the first tenth of them once more at its end.
func writeProse(dir string, texts []string) error {
	return atomicfile.WriteFunc(filepath.Join(dir, textFile), func(w io.Writer) error {
		out := bufio.NewWriter(w)
		for i := range len(texts) + len(texts)/10 {
			fmt.Fprintf(out, "%s\n\n", texts[i%len(texts)])
		}
		return out.Flush()
	})
}

// newPreparer makes shards of tokens of a task's file: paragraphs, their duplicates, their splits, their tokens. A step reads the
// tokenizer too, so that it has met no word before.
func newPreparer(dir string) (w worker, err error) {
	ctx, cache := context.Background(), filepath.Join(dir, "metrolab")
	var tokenizer tokens.Tokenizer
	var made tokens.Tokenized
	w.about.Version = runtime.Version()
	w.step = func(int) error {
		if err := os.RemoveAll(cache); err != nil {
			return err
		}
		corpus, err := text.Prepare(ctx, filepath.Join(dir, textFile), cache, nil)
		if err != nil {
			return err
		}
		if tokenizer, err = tokens.Load(filepath.Join(dir, tokenizerFile)); err != nil {
			return err
		}
		made, err = tokens.Tokenize(ctx, corpus, tokenizer, cache, nil)
		return err
	}
	w.loss = func() (map[string]float64, error) {
		stream, err := tokens.OpenStream(made.Paths[text.Train], tokenizer.VocabSize())
		if err != nil {
			return nil, err
		}
		ids := make([]int32, stream.Len())
		sum := crc32.NewIEEE()
		if err := errors.Join(stream.Read(ids, 0), binary.Write(sum, binary.LittleEndian, ids), stream.Close()); err != nil {
			return nil, err
		}
		return map[string]float64{"tokens": float64(len(ids)), "documents": float64(stream.Documents()), "crc32": float64(sum.Sum32())}, nil
	}
	return w, nil
}
