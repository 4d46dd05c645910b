// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
)

// tokenBytes is the size of one id in a token file, a little-endian uint32.
const tokenBytes = 4

// Stream is an open token file: the ids of a split's documents one after the other, a [SEP] after every document. It may
// be read from several goroutines.
type Stream struct {
	file  *os.File
	len   int
	vocab int
}

// OpenStream opens the token file at path, whose ids are below vocab. The caller closes it.
func OpenStream(path string, vocab int) (*Stream, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = usererr.New("%s is no file of tokens; remove its folder to have it made again", path)
	case info.Size()%tokenBytes != 0:
		err = usererr.New("%s is damaged: its %d bytes end inside a token of %d; remove its folder to have it made again", path, info.Size(), tokenBytes)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open tokens: %w", err)
	}
	return &Stream{file, int(info.Size() / tokenBytes), vocab}, nil
}

// Len returns the number of tokens.
func (s *Stream) Len() int { return s.len }

// Read fills ids with the tokens from place at on. A token that is not in the vocabulary is the user's error: the file is
// damaged, or is another tokenizer's.
func (s *Stream) Read(ids []int32, at int) error {
	buf := make([]byte, len(ids)*tokenBytes)
	if _, err := s.file.ReadAt(buf, int64(at)*tokenBytes); err != nil {
		return fmt.Errorf("tokens %d to %d of %s: %w", at, at+len(ids), s.file.Name(), err)
	}
	for i := range ids {
		id := binary.LittleEndian.Uint32(buf[i*tokenBytes:])
		if uint64(id) >= uint64(s.vocab) {
			return usererr.New("%s is damaged: its token %d is %d, and the vocabulary has %d; remove its folder to have it made again", s.file.Name(), at+i, id, s.vocab)
		}
		ids[i] = int32(id)
	}
	return nil
}

// Close releases the file.
func (s *Stream) Close() error { return s.file.Close() }

// Tokenized is a corpus as ids.
type Tokenized struct {
	Paths   map[text.Split]string // the token file of each split
	Unknown Unknown               // of the training split
}

// unknownName is the file beside the token files that holds [Tokenized].Unknown.
const unknownName = "unknown.json"

// Tokenize returns the token file of each split of corpus under tokenizer. The first call for a pair of them writes the
// files to cacheDir, all or none, calling progress (nil for none) with the bytes of text done and their total. Later calls
// use them again, if they are what they were, and make them anew if not. A cache that cannot be written to is the user's
// error.
func Tokenize(ctx context.Context, corpus *text.Corpus, tokenizer Tokenizer, cacheDir string, progress func(done, total int)) (Tokenized, error) {
	dir := filepath.Join(cacheDir, "tokens", corpus.Hash[:16]+"-"+tokenizer.Hash()[:16])
	t := Tokenized{Paths: map[text.Split]string{}}
	names := []string{unknownName}
	for _, split := range text.Splits {
		t.Paths[split] = tokenPath(dir, split)
		names = append(names, filepath.Base(t.Paths[split]))
	}
	err := sealed(dir, names, func(temp string) error { return writeTokens(ctx, corpus, tokenizer, temp, progress) })
	if err == nil {
		t.Unknown, err = readUnknown(filepath.Join(dir, unknownName))
	}
	if err != nil {
		return Tokenized{}, fmt.Errorf("tokenize %s: %w", corpus.Name, text.CacheError(cacheDir, err))
	}
	return t, nil
}

func tokenPath(dir string, split text.Split) string { return filepath.Join(dir, string(split)+".u32") }

// writeTokens makes the files of all splits.
func writeTokens(ctx context.Context, corpus *text.Corpus, tokenizer Tokenizer, dir string, progress func(done, total int)) error {
	done, total := 0, int(corpus.Stats.Total().Bytes)
	for _, split := range text.Splits {
		unknown := newUnknownCounter(tokenizer)
		err := writeSplit(ctx, corpus, split, tokenizer, tokenPath(dir, split), func(text string, ids []int32) {
			unknown.add(text, ids)
			if done += len(text); progress != nil {
				progress(done, total)
			}
		})
		if err == nil && split == text.Train {
			err = unknown.write(filepath.Join(dir, unknownName))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeSplit writes a token file, the same on any number of cores, and hands each text over with its ids.
func writeSplit(ctx context.Context, corpus *text.Corpus, split text.Split, tokenizer Tokenizer, path string, wrote func(text string, ids []int32)) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<18)
	end := uint32(tokenizer.Special().SEP)
	var buf []byte
	var reading error
	err = encoded(tokenizer, corpus.Texts(ctx, split, &reading), func(text string, ids []int32) error {
		wrote(text, ids)
		buf = buf[:0]
		for _, id := range ids {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
		}
		_, err := out.Write(binary.LittleEndian.AppendUint32(buf, end))
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(reading, out.Flush(), file.Close())
}
