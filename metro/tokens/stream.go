// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"metrolab/internal/atomicfile"
	"metrolab/metro/text"
)

// tokenBytes is the size of one id in a token file, a little-endian uint32.
const tokenBytes = 4

// Stream is an open token file: the ids of a split's documents one after the other, a [SEP] after every document. It may
// be read from several goroutines.
type Stream struct {
	file *os.File
	len  int
}

// OpenStream opens the token file at path. The caller closes it.
func OpenStream(path string) (*Stream, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.Size()%tokenBytes != 0 {
		err = fmt.Errorf("%s is damaged: its %d bytes end inside a token of %d; remove its folder to have it made again", path, info.Size(), tokenBytes)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	return &Stream{file, int(info.Size() / tokenBytes)}, nil
}

// Len returns the number of tokens.
func (s *Stream) Len() int { return s.len }

// Read fills ids with the tokens from place at on.
func (s *Stream) Read(ids []int32, at int) error {
	buf := make([]byte, len(ids)*tokenBytes)
	if _, err := s.file.ReadAt(buf, int64(at)*tokenBytes); err != nil {
		return fmt.Errorf("tokens %d to %d of %s: %w", at, at+len(ids), s.file.Name(), err)
	}
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(buf[i*tokenBytes:]))
	}
	return nil
}

// Close releases the file.
func (s *Stream) Close() error { return s.file.Close() }

// Tokenize returns the token file of each split of corpus under tokenizer. The first call for a pair of them writes the
// files to cacheDir, all or none, calling progress (nil for none) with the bytes of text done and their total; they are
// used again later.
func Tokenize(ctx context.Context, corpus *text.Corpus, tokenizer Tokenizer, cacheDir string, progress func(done, total int)) (map[text.Split]string, error) {
	dir := filepath.Join(cacheDir, "tokens", corpus.Hash[:16]+"-"+tokenizer.Hash()[:16])
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := writeTokens(ctx, corpus, tokenizer, dir, progress); err != nil {
			return nil, fmt.Errorf("tokenize %s: %w", corpus.Name, err)
		}
	}
	paths := map[text.Split]string{}
	for _, split := range text.Splits {
		paths[split] = tokenPath(dir, split)
	}
	return paths, nil
}

func tokenPath(dir string, split text.Split) string { return filepath.Join(dir, string(split)+".u32") }

// writeTokens makes the token files of all splits aside and moves them into dir at once.
func writeTokens(ctx context.Context, corpus *text.Corpus, tokenizer Tokenizer, dir string, progress func(done, total int)) error {
	if err := atomicfile.MkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	done, total := 0, int(corpus.Stats.Total().Bytes)
	wrote := func(n int) {
		if done += n; progress != nil {
			progress(done, total)
		}
	}
	err := atomicfile.WriteDir(dir, func(temp string) error {
		for _, split := range text.Splits {
			if err := writeSplit(ctx, corpus, split, tokenizer, tokenPath(temp, split), wrote); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster; equal inputs give equal files
	}
	return err
}

func writeSplit(ctx context.Context, corpus *text.Corpus, split text.Split, tokenizer Tokenizer, path string, wrote func(textBytes int)) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<18)
	special := tokenizer.Special()
	var ids []int32
	var buf []byte
	var reading error
	for t := range corpus.Texts(ctx, split, &reading) {
		ids = tokenizer.EncodeIDs(ids[:0], t)
		Plain(tokenizer, ids)
		ids = append(ids, special.SEP)
		buf = buf[:0]
		for _, id := range ids {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
		}
		if _, err := out.Write(buf); err != nil {
			return err
		}
		wrote(len(t))
	}
	return errors.Join(reading, out.Flush(), file.Close())
}
