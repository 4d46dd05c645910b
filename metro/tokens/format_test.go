// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
)

// readFrom is a tokenizer that is nothing but where it was read from.
type readFrom struct {
	Tokenizer
	path string
}

func (r readFrom) Save(path string) error { return os.WriteFile(path, []byte(r.path), 0o666) }

// register makes formats known for the length of a test, which sees no others.
func register(t *testing.T, list ...Format) {
	before := formats
	formats = map[string]Format{}
	t.Cleanup(func() { formats = before })
	for _, f := range list {
		Register(f)
	}
}

// format is one that reads everything there is.
func format(model, vocabulary string) Format {
	load := func(path string) (Tokenizer, error) {
		_, err := os.Stat(path)
		return readFrom{path: model + " " + filepath.Base(path)}, err
	}
	return Format{Model: model, Vocabulary: vocabulary, Load: load, LoadFolder: load}
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(dir, 0o777))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
	return path
}

// The format is chosen by the model's type, or in a folder without a tokenizer.json by the vocabulary that is there.
func TestFormatIsChosenByTheFile(t *testing.T) {
	register(t, format("Abacus", "beads.txt"), format("Bead", ""), format("Cord", "knots.txt"))
	dir := t.TempDir()
	got, err := Load(write(t, filepath.Join(dir, "file"), "x.json", `{"model": {"type": "Bead"}}`))
	require.NoError(t, err)
	require.Equal(t, readFrom{path: "Bead x.json"}, got)
	for name, content := range map[string]string{"beads.txt": "", "knots.txt": "", "tokenizer.json": `{"version": "1.0", "model": {"type": "Bead", "vocab": {}}}`} {
		write(t, filepath.Join(dir, name), name, content)
		got, err := LoadFolder(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, readFrom{path: map[string]string{"beads.txt": "Abacus", "knots.txt": "Cord", "tokenizer.json": "Bead"}[name] + " " + name}, got)
	}
	write(t, filepath.Join(dir, "tokenizer.json"), "beads.txt", "")
	got, err = LoadFolder(filepath.Join(dir, "tokenizer.json"))
	require.NoError(t, err)
	require.Equal(t, readFrom{path: "Bead tokenizer.json"}, got, "tokenizer.json goes first")
}

// What cannot be read is the user's to mend, and the error says what could be.
func TestLoadRefuses(t *testing.T) {
	broken := format("Broken", "broken.txt")
	broken.Load = func(string) (Tokenizer, error) { return (*readFrom)(nil), errors.New("it is broken") }
	register(t, format("Abacus", "beads.txt"), broken)
	dir := t.TempDir()
	for content, want := range map[string]string{
		`{"model": {"type": "Cord"}}`: "its model is Cord, which is not known; known are Abacus, Broken",
		`{"model": {}}`:               "its model is of no type; known are Abacus, Broken",
		`{"version": "1.0"}`:          "its model is of no type",
		`{"model": 7}`:                "not a tokenizer.json",
		`{`:                           "not a tokenizer.json",
	} {
		path := write(t, dir, "tokenizer.json", content)
		for _, load := range []func() (Tokenizer, error){
			func() (Tokenizer, error) { return Load(path) }, func() (Tokenizer, error) { return LoadFolder(dir) },
		} {
			_, err := load()
			require.True(t, usererr.Is(err), "%v", err)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, want)
		}
	}
	got, err := Load(write(t, dir, "tokenizer.json", `{"model": {"type": "Broken"}}`))
	require.ErrorContains(t, err, "it is broken")
	require.True(t, got == nil, "no typed nil")

	_, err = LoadFolder(t.TempDir())
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "it has neither a tokenizer.json nor a beads.txt nor a broken.txt")
	for _, load := range []func(string) (Tokenizer, error){Load, LoadFolder} {
		_, err = load(filepath.Join(dir, "gone"))
		require.True(t, usererr.Is(err))
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, "no tokenizer")
	}
}

func TestRegisterPanics(t *testing.T) {
	register(t, format("Abacus", ""))
	require.Panics(t, func() { Register(format("Abacus", "")) })
	require.Panics(t, func() { Register(format("", "")) })
	require.Panics(t, func() { Register(Format{Model: "Cord"}) })
	require.Len(t, Formats(), 1)
}

// A format other than the first one there was is learned too, under a name of its own; one that cannot be is refused.
func TestLearnWithAnotherFormat(t *testing.T) {
	abacus := format("Abacus", "")
	var asked Options
	abacus.Learn = func(texts iter.Seq[string], o Options) (Tokenizer, error) {
		asked = o
		for range texts {
		}
		return readFrom{path: "learned"}, nil
	}
	register(t, abacus, format("Bead", ""))
	dir := t.TempDir()
	corpus, err := text.Prepare(t.Context(), write(t, dir, "a.txt", "one two\n\nthree four\n"), filepath.Join(dir, "cache"), nil)
	require.NoError(t, err)
	options := Options{Model: "Abacus", VocabSize: 7}
	got, err := Learn(t.Context(), corpus, options, dir)
	require.NoError(t, err)
	require.Equal(t, readFrom{path: "learned"}, got)
	require.Equal(t, options, asked)
	got, err = Learn(t.Context(), corpus, options, dir)
	require.NoError(t, err)
	require.Equal(t, readFrom{path: "Abacus tokenizer.json"}, got, "the second time it is read")

	_, err = Learn(t.Context(), corpus, Options{Model: "Bead"}, dir)
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "Bead can be read but not learned here")
}
