// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"metrolab/internal/shards"
	"metrolab/internal/usererr"
)

// Stream is the open tokens of a split: the ids of its documents one after the other, a [SEP] after every document. They are
// mapped into memory, where the system can do that. It may be read from several goroutines.
type Stream struct {
	path  string
	ix    index
	vocab int
	len   int
	ended []int // documents that end before each shard, and in all of them

	files shards.Files
}

// OpenStream opens the tokens whose index is at path, and whose ids are below vocab. It compares them with their checksums, a
// gigabyte a second; what is damaged is the user's to mend. The caller closes it.
func OpenStream(path string, vocab int) (*Stream, error) {
	ix, err := readIndex(path)
	if err == nil {
		_, err = ix.whole(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open tokens: %w", damaged(path, err))
	}
	s := &Stream{path: path, ix: ix, vocab: vocab, len: ix.tokens(), ended: []int{0}}
	for i, of := range ix.Shards {
		if err := s.files.Open(shardPath(path, i), ix.size(of)); err != nil {
			return nil, errors.Join(fmt.Errorf("open tokens: %w", damaged(path, err)), s.Close())
		}
		s.ended = append(s.ended, s.ended[i]+of.Documents)
	}
	return s, nil
}

// damaged says what can be done about it.
func damaged(path string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return usererr.New("%w", err)
	}
	return usererr.New("the tokens of %s are damaged: %w; remove their folder to have them made again", path, err)
}

// Len returns the number of tokens.
func (s *Stream) Len() int { return s.len }

// Documents returns the number of documents.
func (s *Stream) Documents() int { return s.ended[len(s.ended)-1] }

// Read fills ids with the tokens from place at on. A token that is not in the vocabulary is the user's error: the file is
// damaged, or is another tokenizer's.
func (s *Stream) Read(ids []int32, at int) error {
	if at < 0 || at > s.len-len(ids) {
		return fmt.Errorf("tokens %d to %d of %s: it has %d: %w", at, at+len(ids), s.path, s.len, io.ErrUnexpectedEOF)
	}
	for len(ids) > 0 {
		i, place := at/s.ix.Length, at%s.ix.Length
		n := min(len(ids), s.ix.Shards[i].Tokens-place)
		if err := s.readShard(ids[:n], i, place); err != nil {
			return err
		}
		ids, at = ids[n:], at+n
	}
	return nil
}

// readShard reads from a place of a shard, some hundred tokens at a time.
func (s *Stream) readShard(ids []int32, i, place int) error {
	var block [1 << 11]byte
	width := s.ix.Width
	for done := 0; done < len(ids); {
		n := min(len(ids)-done, len(block)/width)
		raw := block[:n*width]
		if err := s.files.ReadAt(raw, i, (place+done)*width); err != nil {
			return fmt.Errorf("read %s: %w", s.path, err)
		}
		for k := range n {
			id := uint32(0)
			if width == 2 {
				id = uint32(binary.LittleEndian.Uint16(raw[2*k:]))
			} else {
				id = binary.LittleEndian.Uint32(raw[4*k:])
			}
			if uint64(id) >= uint64(s.vocab) {
				return damaged(s.path, fmt.Errorf("token %d of %s is %d, and the vocabulary has %d", place+done+k, shardPath(s.path, i), id, s.vocab))
			}
			ids[done+k] = int32(id)
		}
		done += n
	}
	return nil
}

// Document returns the place of the first token of document i, and that behind its [SEP].
func (s *Stream) Document(i int) (begin, end int, err error) {
	if i < 0 || i >= s.Documents() {
		return 0, 0, fmt.Errorf("document %d of %s: it has %d", i, s.path, s.Documents())
	}
	if i > 0 {
		if begin, err = s.end(i - 1); err != nil {
			return 0, 0, err
		}
	}
	end, err = s.end(i)
	return begin, end, err
}

// end returns the place behind document i.
func (s *Stream) end(i int) (int, error) {
	at := sort.SearchInts(s.ended, i+1) - 1 // the shard in which it ends
	var raw [endBytes]byte
	from := s.ix.Shards[at].Tokens*s.ix.Width + (i-s.ended[at])*endBytes
	if err := s.files.ReadAt(raw[:], at, from); err != nil {
		return 0, fmt.Errorf("read %s: %w", s.path, err)
	}
	return at*s.ix.Length + int(binary.LittleEndian.Uint32(raw[:])), nil
}

// Close releases the files.
func (s *Stream) Close() error {
	if err := s.files.Close(); err != nil {
		return fmt.Errorf("close %s: %w", s.path, err)
	}
	return nil
}
