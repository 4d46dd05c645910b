// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"metrolab/internal/bounded"
	"metrolab/internal/usererr"
)

// Format is a kind of tokenizer, and how its files are read.
type Format struct {
	// Model is the type that tokenizer.json gives the model: "WordPiece", "BPE", …
	Model string
	// Vocabulary is the file by which a folder without tokenizer.json is known to hold this kind, such as vocab.txt; ""
	// if there is none.
	Vocabulary string

	Load       func(path string) (Tokenizer, error) // reads a tokenizer.json
	LoadFolder func(dir string) (Tokenizer, error)  // reads what stands beside a model of Hugging Face's

	// Learn makes a tokenizer from texts, the same from the same texts. It is nil where that is not known here.
	Learn func(texts iter.Seq[string], o Options) (Tokenizer, error)
}

var (
	mu      sync.RWMutex
	formats = map[string]Format{}
)

// Register makes a format known to [Load], [LoadFolder] and [Learn]. It is called when the package of a tokenizer is
// imported, and panics on a format without a name or a reader and on a name that is taken.
func Register(f Format) {
	mu.Lock()
	defer mu.Unlock()
	if _, taken := formats[f.Model]; taken || f.Model == "" || f.Load == nil || f.LoadFolder == nil {
		panic(fmt.Sprintf("tokens: format %q: the name must be new and not empty, and it must be able to load", f.Model))
	}
	formats[f.Model] = f
}

// Formats returns the registered formats in the order of their names.
func Formats() []Format {
	mu.RLock()
	defer mu.RUnlock()
	return slices.SortedFunc(maps.Values(formats), func(a, b Format) int { return strings.Compare(a.Model, b.Model) })
}

// FileLimit is how many bytes a file of a tokenizer may have. Those with 250,000 tokens have less than 40 MB.
const FileLimit = 64 << 20

// jsonName is the file of a tokenizer in a folder.
const jsonName = "tokenizer.json"

// Load reads a tokenizer.json file with the format that its model has. A missing or damaged file and a model that no
// registered format reads are the user's errors.
func Load(path string) (Tokenizer, error) {
	f, err := sniff(path)
	if err != nil {
		return nil, err
	}
	return loaded(f.Load(path))
}

// LoadFolder reads the tokenizer that stands beside a model in dir: with the format of the model in its tokenizer.json or,
// in a folder without one, with the format whose vocabulary file is there. What [Load] refuses, and a folder without any
// of these files, are the user's errors.
func LoadFolder(dir string) (Tokenizer, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, usererr.New("no tokenizer folder: %w", err)
	}
	f, err := sniff(filepath.Join(dir, jsonName))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = byVocabulary(dir)
	}
	if err != nil {
		return nil, err
	}
	return loaded(f.LoadFolder(dir))
}

// InFolder reports whether dir holds a file that [LoadFolder] would read a tokenizer from.
func InFolder(dir string) bool {
	names := []string{jsonName}
	for _, f := range Formats() {
		names = append(names, f.Vocabulary)
	}
	return slices.ContainsFunc(names, func(name string) bool {
		if name == "" {
			return false
		}
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	})
}

// loaded leaves no typed nil beside an error.
func loaded(t Tokenizer, err error) (Tokenizer, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

// sniff returns the format of the tokenizer.json at path.
func sniff(path string) (Format, error) {
	data, err := bounded.ReadText(path, FileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Format{}, usererr.New("no tokenizer: %w", err)
	case err != nil:
		return Format{}, err
	}
	var file struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return Format{}, usererr.New("tokenizer %s: not a tokenizer.json: %w", path, err)
	}
	f, err := named(file.Model.Type)
	if err != nil {
		return Format{}, usererr.New("tokenizer %s: %w", path, err)
	}
	return f, nil
}

// named returns the format of a type of model.
func named(model string) (Format, error) {
	mu.RLock()
	f, ok := formats[model]
	mu.RUnlock()
	switch {
	case ok:
		return f, nil
	case model == "":
		return f, usererr.New("its model is of no type; known are %s", known())
	}
	return f, usererr.New("its model is %s, which is not known; known are %s", model, known())
}

// known lists the types of models that can be read.
func known() string {
	var models []string
	for _, f := range Formats() {
		models = append(models, f.Model)
	}
	return strings.Join(models, ", ")
}

// byVocabulary returns the format whose vocabulary file is in dir.
func byVocabulary(dir string) (Format, error) {
	files := []string{jsonName}
	for _, f := range Formats() {
		if f.Vocabulary == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, f.Vocabulary)); err == nil {
			return f, nil
		}
		files = append(files, f.Vocabulary)
	}
	return Format{}, usererr.New("no tokenizer in %s: it has neither a %s", dir, strings.Join(files, " nor a "))
}
