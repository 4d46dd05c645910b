// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"metrolab/internal/atomicfile"
	"metrolab/internal/usererr"
)

// The names in a run's directory.
const (
	ConfigFile     = "config.json"     // what the run is; its hash is the run's name
	MetricsFile    = "metrics.jsonl"   // what it measured, one line each time
	CheckpointsDir = "checkpoints"     // where it can go on from
	ResultFile     = "result.json"     // written last: the run is finished
	ProvenanceFile = "provenance.json" // how it was made; see Provenance
	TokenizerFile  = "tokenizer.json"

	attemptsDir = "attempts"
	leaseFile   = "lease.json"
)

// Store is a directory of runs. The zero values of TTL and Now serve.
type Store struct {
	Root string
	// TTL is how long a run whose process cannot be looked at (another machine, another container) counts as held
	// after its last sign of life; 0 is two minutes. Machines that share a store need clocks that agree better than that,
	// see [Store.CheckClock].
	TTL time.Duration
	// TakeStopped lets a process of this machine lose its run as well if it lives and gives no sign of life for the TTL: one
	// that is stopped, or whose disk hangs. Without it, such a process keeps its run, as it may go on.
	TakeStopped bool
	// Now tells the time; nil is [time.Now].
	Now func() time.Time

	disk atomicfile.Disk
	self func() process
}

// Document is a config.json of which only a part decides the run's numbers.
type Document interface {
	// IdentityOf takes that part from a config.json as it stands on the disk.
	IdentityOf(config json.RawMessage) (any, error)
}

// Run is one directory of a store.
type Run struct {
	ID  string
	Dir string

	store Store
}

// String is the run's directory.
func (r *Run) String() string {
	if r == nil {
		return "no run"
	}
	return r.Dir
}

// Path returns the path of one of the run's files.
func (r *Run) Path(name string) string { return filepath.Join(r.Dir, name) }

// Begun reports whether anything was measured or saved, so that there is something to lose.
func (r *Run) Begun() (bool, error) {
	checkpoints, err := Checkpoints{Dir: r.Path(CheckpointsDir), disk: r.store.disk}.list()
	if len(checkpoints) > 0 || err != nil {
		return true, err
	}
	info, err := r.store.disk.Lstat(r.Path(MetricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err != nil || info.Size() > 0, err
}

// withDefaults fills in what a caller may leave out.
func (s Store) withDefaults() Store {
	if s.TTL == 0 {
		s.TTL = 2 * time.Minute
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.disk.FS == nil {
		s.disk = atomicfile.OS
	}
	if s.self == nil {
		s.self = thisProcess
	}
	return s
}

// CheckClock returns the user's error if the clocks of this machine and of the store's file system differ by a quarter of the
// TTL or more: signs of life would then be taken for older or younger than they are.
func (s Store) CheckClock() error {
	s = s.withDefaults()
	path := atomicfile.TempPath(filepath.Join(s.Root, "clock"))
	err := s.disk.MkdirAll(s.Root)
	before := s.Now()
	if err == nil {
		err = s.disk.CreateFile(path, nil)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = s.disk.Lstat(path)
	}
	after := s.Now()
	if err = errors.Join(err, s.disk.RemoveAll(path)); err != nil {
		return fmt.Errorf("compare clocks: %w", err)
	}
	apart := max(before.Sub(info.ModTime()), info.ModTime().Sub(after))
	if apart >= s.TTL/4 {
		return usererr.New("this machine's clock and that of the file system of %s are %s apart, too much for leases of %s: set the clock, or take leases of more than %s",
			s.Root, apart.Round(time.Millisecond), s.TTL, (4 * apart).Round(time.Second))
	}
	return nil
}

const hashDigits = 10

// ID names a run: the name in lower-case letters, digits and dashes, and the first 10 hex digits of the SHA-256 of
// the identity's [Canonical] JSON. The identity holds everything that decides the numbers, and nothing else. It is an
// error if it has no JSON, such as a NaN.
func ID(name string, identity any) (string, error) {
	hash, err := Hash(identity)
	if err != nil {
		return "", fmt.Errorf("name run %q: %w", name, err)
	}
	return slug(name) + "-" + hash[:hashDigits], nil
}

// Hash is the SHA-256 of a value's [Canonical] JSON, in hex digits.
func Hash(v any) (string, error) {
	text, err := Canonical(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// SplitID takes a run's name apart: what [ID] was given, and the digits of the hash; false if it does not end in such.
func SplitID(id string) (name, digits string, ok bool) {
	cut := len(id) - hashDigits - 1
	if cut <= 0 || id[cut] != '-' || strings.Trim(id[cut+1:], "0123456789abcdef") != "" {
		return id, "", false
	}
	return id[:cut], id[cut+1:], true
}

func slug(name string) string {
	const longest = 48
	var out strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			out.WriteRune(r)
		} else if text := out.String(); text != "" && !strings.HasSuffix(text, "-") {
			out.WriteByte('-')
		}
		if out.Len() == longest {
			break
		}
	}
	if text := strings.Trim(out.String(), "-"); text != "" {
		return text
	}
	return "run"
}

// path refuses an id that could lead out of the store, or to what the store keeps for itself.
func (s Store) path(id string) (string, error) {
	if id == "" || strings.HasPrefix(id, ".") || strings.ContainsAny(id, `/\`) || !filepath.IsLocal(id) {
		return "", usererr.New("%q does not name a run: it must be the name of a directory in %s", id, s.Root)
	}
	return filepath.Join(s.Root, id), nil
}

// Open returns a run that exists.
func (s Store) Open(id string) (*Run, error) {
	s = s.withDefaults()
	dir, err := s.path(id)
	if err != nil {
		return nil, err
	}
	run := &Run{ID: id, Dir: dir, store: s}
	info, err := s.disk.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usererr.New("there is no run %q in %s", id, s.Root)
	}
	isRun := false
	if err == nil && info.IsDir() {
		isRun, err = run.isRun()
	}
	if err != nil {
		return nil, fmt.Errorf("open run %q: %w", id, err)
	}
	if !isRun {
		return nil, usererr.New("%s is not a run: it is no directory with a %s in it", dir, ConfigFile)
	}
	return run, nil
}

// OpenDir returns the run in a directory, wherever it lies; the rest of the store's settings are s's.
func (s Store) OpenDir(dir string) (*Run, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, usererr.New("open run %q: %w", dir, err)
	}
	s.Root = filepath.Dir(dir)
	return s.Open(filepath.Base(dir))
}

// Create returns the run of that id, and makes its directory with the document as its config.json if there is none.
// A directory with another config, or with files that are no run's, is the user's error and stays untouched. All of two
// configs is compared, unless the document is a [Document], which knows better.
func (s Store) Create(id string, document any) (*Run, error) {
	s = s.withDefaults()
	dir, err := s.path(id)
	if err != nil {
		return nil, err
	}
	run := &Run{ID: id, Dir: dir, store: s}
	if err := s.disk.MkdirAll(s.Root); err != nil {
		return nil, fmt.Errorf("create run %s: %w", dir, err)
	}
	found, err := s.find(dir)
	if err != nil {
		return nil, err
	}
	if !found {
		err = run.make(document)
	}
	if err != nil {
		// Somebody else may have made it in this moment; then it is to be compared like any other.
		if found, findErr := s.find(dir); findErr != nil || !found {
			return nil, fmt.Errorf("create run %s: %w", dir, err)
		}
	}
	if err := run.Compare(document); err != nil {
		return nil, err
	}
	return run, nil
}

// find says whether the directory holds a run, and refuses one that holds something else.
func (s Store) find(dir string) (bool, error) {
	info, err := s.disk.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a run: %w", err)
	}
	if !info.IsDir() {
		return false, usererr.New("%s is in the way of a run's directory: choose another place or move it", dir)
	}
	found, err := s.disk.Exists(filepath.Join(dir, ConfigFile))
	if found || err != nil {
		return found, err
	}
	entries, err := s.disk.ReadDir(dir)
	if err != nil {
		return false, fmt.Errorf("look for a run: %w", err)
	}
	if len(entries) > 0 {
		return false, usererr.New("%s holds %d files, such as %s, but no %s: it is not a run, choose an empty or a new directory", dir, len(entries), entries[0].Name(), ConfigFile)
	}
	return false, nil
}

// make builds the directory aside, so that it never exists without its config.
func (r *Run) make(document any) error {
	text, err := indented(document)
	if err != nil {
		return err
	}
	d := r.store.disk
	return d.WriteDir(r.Dir, func(temp string) error { return d.CreateFile(filepath.Join(temp, ConfigFile), text) })
}

// Compare returns the user's error if the run on the disk is not that of the document; see [Store.Create].
func (r *Run) Compare(document any) error {
	here, err := indented(document)
	if err != nil {
		return fmt.Errorf("compare with %s: %w", r.Path(ConfigFile), err)
	}
	identityOf := func(config json.RawMessage) (any, error) { return config, nil }
	if d, ok := document.(Document); ok {
		identityOf = d.IdentityOf
	}
	var stored json.RawMessage
	if err := readJSON(r.store.disk, r.Path(ConfigFile), &stored); err != nil {
		return usererr.New("%s is damaged: %w; restore it or move the directory away", r.Path(ConfigFile), err)
	}
	a, err := identityOf(stored)
	if err != nil {
		return usererr.New("%s is damaged: %w; restore it or move the directory away", r.Path(ConfigFile), err)
	}
	b, err := identityOf(here)
	if err != nil {
		return fmt.Errorf("compare with %s: %w", r.Path(ConfigFile), err)
	}
	found, err := differences(a, b)
	if err != nil {
		return fmt.Errorf("compare with %s: %w", r.Path(ConfigFile), err)
	}
	if len(found) == 0 {
		return nil
	}
	const shown = 8
	var lines strings.Builder
	for _, d := range found[:min(len(found), shown)] {
		fmt.Fprintf(&lines, "\n  %s", d)
	}
	if len(found) > shown {
		fmt.Fprintf(&lines, "\n  and %d more", len(found)-shown)
	}
	return usererr.New("%s holds another run: choose another directory, or the settings of that run; %d fields differ, there and here:%s", r.Dir, len(found), lines.String())
}

// Remove deletes a run. It is the user's error if a process holds its lease, or if the id is not a run's.
func (s Store) Remove(id string) error {
	run, err := s.Open(id)
	if err != nil {
		return err
	}
	lease, err := run.Acquire()
	if err != nil {
		return fmt.Errorf("remove run %q: %w", id, err)
	}
	if err := lease.Remove(); err != nil {
		return fmt.Errorf("remove run %q: %w", id, err)
	}
	return nil
}
