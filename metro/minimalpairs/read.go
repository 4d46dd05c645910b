// SPDX-License-Identifier: Apache-2.0

package minimalpairs

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/jsonlines"
	"metrolab/internal/packed"
	"metrolab/internal/usererr"
)

// Pair is two sentences that differ as little as may be.
type Pair struct {
	Good string `json:"good"` // the acceptable one
	Bad  string `json:"bad"`
}

// Paradigm is pairs that differ in one thing.
type Paradigm struct {
	Name  string `json:"name"`            // BLiMP's UID
	Term  string `json:"term,omitempty"`  // of linguistics: binding, …
	Field string `json:"field,omitempty"` // of linguistics: syntax, …
	Pairs []Pair `json:"pairs"`           // in the order of their file
}

// Set is the pairs of a file, or of a folder of files.
type Set struct {
	Source    string
	Hash      string     // SHA-256 in hex of all pairs and of what they are called
	Paradigms []Paradigm // in the order of their names
	Notes     []string   // what was passed over, a sentence each
}

// Options say how pairs are read. The zero value reads BLiMP's files and refuses a line that is no pair.
type Options struct {
	Good, Bad             string // fields of the two sentences; "sentence_good" and "sentence_bad" if empty
	Paradigm, Term, Field string // fields of what a pair belongs to; "UID", "linguistics_term" and "field" if empty
	SkipBadRows           bool   // leave lines out that are no pairs, and say how many
}

// Read reads a file of JSON objects, a pair a line, or all such files of a folder: those named .jsonl, or .jsonl.gz or .jsonl.zst where they
// are packed. A pair that names no paradigm belongs to one of its file's name. A line that is no pair, a file that
// cannot be read and a folder without files are the user's errors.
func Read(path string, o Options) (*Set, error) {
	r := reader{Options: o, paradigms: map[string]*Paradigm{}}
	for _, field := range []struct {
		name  *string
		usual string
	}{{&r.Good, "sentence_good"}, {&r.Bad, "sentence_bad"}, {&r.Paradigm, "UID"}, {&r.Term, "linguistics_term"}, {&r.Field, "field"}} {
		*field.name = cmp.Or(*field.name, field.usual)
	}
	files, notes, err := filesOf(path)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := r.file(file); err != nil {
			return nil, err
		}
	}
	set := &Set{Source: path, Notes: notes}
	if len(r.malformed) > 0 {
		says := fmt.Sprintf("%s: %d of %d lines are no minimal pairs: %s", path, len(r.malformed), r.lines, some(r.malformed, "; ", "more"))
		if !o.SkipBadRows {
			return nil, usererr.New("%s; mend them, or leave them out with --skip-bad-rows", says)
		}
		set.Notes = append(set.Notes, says+"; they are left out")
	}
	for _, name := range slices.Sorted(maps.Keys(r.paradigms)) {
		set.Paradigms = append(set.Paradigms, *r.paradigms[name])
	}
	if len(set.Paradigms) == 0 {
		return nil, usererr.New("%s holds no minimal pair", path)
	}
	text, err := json.Marshal(set.Paradigms)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	set.Hash = hex.EncodeToString(sum[:])
	return set, nil
}

// filesOf lists the files of pairs at a path, and says what else is there.
func filesOf(path string) (files, notes []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, usererr.New("no minimal pairs: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, usererr.New("no minimal pairs: %w", err)
	}
	var others []string
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(packed.Trim(name), ".jsonl") {
			files = append(files, filepath.Join(path, name))
		} else {
			others = append(others, name)
		}
	}
	seen := map[string]bool{}
	for _, file := range files {
		plain := packed.Trim(file)
		if seen[plain] {
			return nil, nil, usererr.New("%s lies there twice, in more than one packing, and its pairs would count twice; remove one", plain)
		}
		seen[plain] = true
	}
	if len(files) == 0 {
		return nil, nil, usererr.New("%s has no file of minimal pairs, NAME.jsonl, .jsonl.gz or .jsonl.zst", path)
	}
	if len(others) > 0 {
		notes = append(notes, fmt.Sprintf("passed over in %s: %s", path, some(others, ", ", "others")))
	}
	return files, notes, nil
}

// some joins the first few of a list.
func some(list []string, between, more string) string {
	const few = 3
	says := strings.Join(list[:min(few, len(list))], between)
	if n := len(list) - few; n > 0 {
		says += fmt.Sprintf("%sand %d %s", between, n, more)
	}
	return says
}

// reader gathers paradigms from lines.
type reader struct {
	Options
	paradigms map[string]*Paradigm
	lines     int
	malformed []string // file, line and reason of each
}

func (r *reader) file(path string) error {
	file, err := packed.Open(path)
	if err != nil {
		return usererr.New("no minimal pairs: %w", err)
	}
	defer file.Close()
	name := packed.Trim(filepath.Base(path))
	name = strings.TrimSuffix(name, filepath.Ext(name))
	for line, err := range jsonlines.Lines(file) {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return usererr.New("%s ends in the midst of what is packed: %w; get it again", path, err)
		}
		if err != nil {
			return usererr.New("%s: %w", path, err)
		}
		r.lines++
		if err := r.line(name, line); err != nil {
			r.malformed = append(r.malformed, fmt.Sprintf("%s line %d, %v", filepath.Base(path), line.Number, err))
		}
	}
	return nil
}

// line adds a pair of the file of that name.
func (r *reader) line(file string, line jsonlines.Line) error {
	var object map[string]any
	if err := line.Decode(&object); err != nil {
		return fmt.Errorf("no JSON object: %w", err)
	}
	var pair Pair
	var paradigm Paradigm
	for _, want := range []struct {
		to    *string
		field string
		must  bool
	}{{&pair.Good, r.Good, true}, {&pair.Bad, r.Bad, true}, {&paradigm.Name, r.Paradigm, false}, {&paradigm.Term, r.Term, false}, {&paradigm.Field, r.Field, false}} {
		value, there := object[want.field]
		text, ok := value.(string)
		switch {
		case there && !ok:
			return fmt.Errorf("%q is no text", want.field)
		case want.must && strings.TrimSpace(text) == "":
			return fmt.Errorf("%q is missing or empty", want.field)
		}
		*want.to = text
	}
	paradigm.Name = cmp.Or(paradigm.Name, file)
	paradigm.Field = strings.ReplaceAll(paradigm.Field, "/", "_") // BLiMP writes syntax_semantics in both ways
	known := r.paradigms[paradigm.Name]
	if known == nil {
		known = &paradigm
		r.paradigms[paradigm.Name] = known
	}
	if known.Term != paradigm.Term || known.Field != paradigm.Field {
		return fmt.Errorf("%s is of %q, %q here, and of %q, %q before", paradigm.Name, paradigm.Field, paradigm.Term, known.Field, known.Term)
	}
	known.Pairs = append(known.Pairs, pair)
	return nil
}

// Pairs is the number of pairs.
func (s *Set) Pairs() (n int) {
	for _, p := range s.Paradigms {
		n += len(p.Pairs)
	}
	return n
}

// Equal is the number of pairs whose two sentences are the same. BLiMP has seven. Whatever scores them, they are ties.
func (s *Set) Equal() (n int) {
	for _, p := range s.Paradigms {
		for _, pair := range p.Pairs {
			if pair.Good == pair.Bad {
				n++
			}
		}
	}
	return n
}

// Sentences lists every sentence once, in the order in which they come.
func (s *Set) Sentences() (all []string) {
	seen := map[string]bool{}
	for _, p := range s.Paradigms {
		for _, pair := range p.Pairs {
			for _, sentence := range []string{pair.Good, pair.Bad} {
				if !seen[sentence] {
					seen[sentence] = true
					all = append(all, sentence)
				}
			}
		}
	}
	return all
}
