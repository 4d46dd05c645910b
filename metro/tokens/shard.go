// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"

	"metrolab/internal/atomicfile"
	"metrolab/internal/bounded"
	"metrolab/internal/shards"
)

// The tokens of a split are a file of JSON, the index, and the shards beside it:
//
//	train.json                index
//	train-00000.tokens, …     index.Length ids each, the last one the rest; behind them, where its documents end
//	train.partial.json        the index of the shards that are whole, while more are made
//
// Ids are little-endian, 2 bytes where the vocabulary allows. A document ends behind its [SEP], and where it does is a
// little-endian uint32, counted from the beginning of the shard.
type index struct {
	Format  string   `json:"format"`
	Width   int      `json:"width"`        // bytes of an id
	Length  int      `json:"shard_tokens"` // of every shard but the last
	Shards  []shard  `json:"shards"`
	Unknown *Unknown `json:"unknown,omitempty"` // of the training split
	Sum     string   `json:"sha256"`            // of the index without it
}

// shard is what the index says of one.
type shard struct {
	Tokens    int    `json:"tokens"`
	Documents int    `json:"documents"` // that end in it
	Open      int    `json:"open"`      // tokens, up to its end, of the document that goes on in the next one
	Words     int64  `json:"words"`     // tokens that begin one; see [Unknown]
	Unknown   int64  `json:"unknown"`   // words that are
	SHA256    string `json:"sha256"`
}

const (
	indexFormat  = "metrolab tokens 1"
	indexLimit   = 64 << 20 // bytes, some 300,000 shards
	endBytes     = 4
	indexExt     = ".json"
	widest16bits = math.MaxUint16 + 1 // ids in 2 bytes
)

// shardTokens is the length of a shard: 16 MiB in 2 bytes an id.
var shardTokens = 8 << 20

func newIndex(vocab int) index {
	ix := index{Format: indexFormat, Width: 2, Length: shardTokens}
	if vocab > widest16bits {
		ix.Width = 4
	}
	return ix
}

func shardPath(indexPath string, i int) string {
	return fmt.Sprintf("%s-%05d.tokens", strings.TrimSuffix(indexPath, indexExt), i)
}

func partialPath(indexPath string) string {
	return strings.TrimSuffix(indexPath, indexExt) + ".partial" + indexExt
}

func (ix index) tokens() (n int) {
	for _, s := range ix.Shards {
		n += s.Tokens
	}
	return n
}

func (ix index) documents() (n int) {
	for _, s := range ix.Shards {
		n += s.Documents
	}
	return n
}

// size is the length of a shard's file.
func (ix index) size(s shard) int { return s.Tokens*ix.Width + s.Documents*endBytes }

// encode is the file of an index.
func (ix index) encode() ([]byte, error) { return shards.Seal(&ix, &ix.Sum) }

// readIndex reads an index as it was written.
func readIndex(path string) (index, error) {
	raw, err := bounded.ReadFile(path, indexLimit)
	if err != nil {
		return index{}, err
	}
	ix, err := decodeIndex(raw)
	if err != nil {
		return index{}, fmt.Errorf("%s %w", path, err)
	}
	return ix, nil
}

func decodeIndex(raw []byte) (index, error) {
	var ix index
	if err := json.Unmarshal(raw, &ix); err != nil {
		return index{}, fmt.Errorf("is no index of tokens: %w", err)
	}
	if ix.Format != indexFormat {
		return index{}, fmt.Errorf("has the format %q, this program reads %q", ix.Format, indexFormat)
	}
	if err := shards.CheckSeal(raw, &ix, &ix.Sum); err != nil {
		return index{}, err
	}
	if (ix.Width != 2 && ix.Width != 4) || ix.Length < 1 || ix.Length > math.MaxInt32 {
		return index{}, fmt.Errorf("says shards of %d tokens of %d bytes", ix.Length, ix.Width)
	}
	for i, s := range ix.Shards {
		if last := i == len(ix.Shards)-1; s.Tokens < 1 || s.Tokens > ix.Length || !last && s.Tokens < ix.Length || s.Documents < 0 || s.Documents > s.Tokens || s.Open < 0 {
			return index{}, fmt.Errorf("says %d tokens and %d documents of shard %d", s.Tokens, s.Documents, i)
		}
	}
	return ix, nil
}

// whole returns the number of shards before the first one that is not what the index at path says, and what is wrong with
// that one. All cores look.
func (ix index) whole(path string) (int, error) {
	damage := make([]error, len(ix.Shards))
	var group sync.WaitGroup
	cores := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, s := range ix.Shards {
		cores <- struct{}{}
		group.Go(func() {
			damage[i] = shards.Verify(shardPath(path, i), s.SHA256)
			<-cores
		})
	}
	group.Wait()
	for i, err := range damage {
		if err != nil {
			return i, err
		}
	}
	return len(ix.Shards), nil
}

// shardWriter writes the tokens of a split: a shard whenever there are enough, and then the index of those that are whole, so that
// another one can go on behind them.
type shardWriter struct {
	path      string // of the index
	tokenizer Tokenizer
	ix        index
	now       shard // under way
	ids, ends []byte
}

func (w *shardWriter) add(ids []int32) error {
	special := w.tokenizer.Special()
	for _, id := range ids {
		if w.ix.Width == 2 {
			w.ids = binary.LittleEndian.AppendUint16(w.ids, uint16(id))
		} else {
			w.ids = binary.LittleEndian.AppendUint32(w.ids, uint32(id))
		}
		w.now.Tokens++
		w.now.Open++
		switch {
		case id == special.SEP:
			w.now.Documents++
			w.now.Open = 0
			w.ends = binary.LittleEndian.AppendUint32(w.ends, uint32(w.now.Tokens))
		case !w.tokenizer.IsContinuation(id):
			w.now.Words++
			if id == special.UNK {
				w.now.Unknown++
			}
		}
		if w.now.Tokens == w.ix.Length {
			if err := w.cut(); err != nil {
				return err
			}
		}
	}
	return nil
}

// cut ends a shard.
func (w *shardWriter) cut() error {
	sum := sha256.New()
	if err := replace(shardPath(w.path, len(w.ix.Shards)), func(out io.Writer) error {
		for _, part := range [][]byte{w.ids, w.ends} {
			sum.Write(part)
			if _, err := out.Write(part); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	w.now.SHA256 = hex.EncodeToString(sum.Sum(nil))
	w.ix.Shards = append(w.ix.Shards, w.now)
	w.now, w.ids, w.ends = shard{Open: w.now.Open}, w.ids[:0], w.ends[:0]
	return w.writeIndex(partialPath(w.path))
}

// finish writes the rest, and the index.
func (w *shardWriter) finish() error {
	if w.now.Tokens > 0 {
		if err := w.cut(); err != nil {
			return err
		}
	}
	return nil
}

// place makes what was finished the tokens of the split.
func (w *shardWriter) place() error {
	if err := w.writeIndex(w.path); err != nil {
		return err
	}
	return atomicfile.OS.RemoveAll(partialPath(w.path))
}

func (w *shardWriter) writeIndex(path string) error {
	raw, err := w.ix.encode()
	if err != nil {
		return err
	}
	return replace(path, func(out io.Writer) error {
		_, err := out.Write(raw)
		return err
	})
}

// replace writes a file in the place of whatever is there.
func replace(path string, write func(io.Writer) error) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		if err := atomicfile.OS.RemoveAll(path); err != nil {
			return err
		}
	}
	return atomicfile.WriteFunc(path, write)
}

// makeFolder makes a folder in the place of whatever is there.
func makeFolder(dir string) error {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		if err := atomicfile.OS.RemoveAll(dir); err != nil {
			return err
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return atomicfile.MkdirAll(dir)
}
