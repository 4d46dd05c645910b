// SPDX-License-Identifier: Apache-2.0

package hf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/tokens"
	_ "metrolab/metro/tokens/all"
	"metrolab/metro/weights"
)

// The folders of a pair.
const (
	discriminatorDir = "discriminator"
	mainDir          = "main" // instead, for a main model without an RTD head
	generatorDir     = "generator"
)

// Folder is an open Hugging Face folder, or a pair of them: a [weights.Source], of the models of Config. Weights are read when
// they are asked for; those that two models may share have been compared.
type Folder struct {
	Dir       string
	Tokenizer tokens.Tokenizer // nil if there are no files of one

	// Config is the shape of the models: data.vocab_size and data.seq_len, embeddings, main, generator, positions, the heads of
	// the objective, and sharing, which is the strongest under which the two models' tables agree. Everything else is
	// zero, as is the generator, or the main model, if there is none.
	Config metro.Config

	// Notes say in a sentence each what was found and is not read, such as the head of another task.
	Notes []string

	main, generator *part // one of them may be nil
	tensors         []weights.Tensor
	origins         map[string]origin // by our names
}

// Load opens dir: a pair, which is a folder with the folders discriminator (or main) and generator in it, or one folder
// with config.json, model.safetensors and, for text, the tokenizer's files. It compares every tensor's name and shape with
// config.json. Whatever does not fit is the user's to mend: a missing or unknown tensor, a shape that no model here has,
// two models that are no pair. The caller closes the folder.
func Load(dir string) (_ *Folder, err error) {
	f := &Folder{Dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	for _, p := range f.find() {
		if err = f.open(p); err != nil {
			return nil, err
		}
	}
	if f.main == nil && f.generator == nil {
		return nil, usererr.New("%s holds no model: neither %s nor a folder %s or %s with one", dir, settingsFile, discriminatorDir, generatorDir)
	}
	if err = f.describe(); err != nil {
		return nil, err
	}
	if err = f.loadTokenizer(); err != nil {
		return nil, err
	}
	f.list()
	return f, nil
}

// find lists the folders with a config.json: dir itself, or those of a pair.
func (f *Folder) find() []string {
	has := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, settingsFile))
		return err == nil
	}
	if has(f.Dir) {
		return []string{f.Dir}
	}
	var pair []string
	for _, name := range []string{discriminatorDir, mainDir, generatorDir} {
		if dir := filepath.Join(f.Dir, name); has(dir) {
			pair = append(pair, dir)
		}
	}
	return pair
}

// open puts the model in dir into its place.
func (f *Folder) open(dir string) error {
	p, err := openPart(dir)
	if err != nil {
		return err
	}
	place := &f.main
	if p.role == generatorRole {
		place = &f.generator
	}
	if *place != nil {
		other := (*place).dir
		return errors.Join(usererr.New("%s and %s are both a %s model; a pair is a discriminator and a generator", other, dir, p.role), p.file.Close())
	}
	*place = p
	if len(p.unread) > 0 {
		shown := strings.Join(p.unread[:min(3, len(p.unread))], ", ")
		f.Notes = append(f.Notes, fmt.Sprintf("%s: %d tensors belong to no part that is read here, such as %s", dir, len(p.unread), shown))
	}
	if stored := p.file.stored(); stored != "" {
		f.Notes = append(f.Notes, dir+": "+stored)
	}
	return nil
}

func (f *Folder) parts() []*part {
	return slices.DeleteFunc([]*part{f.main, f.generator}, func(p *part) bool { return p == nil })
}

// describe sets Config.
func (f *Folder) describe() error {
	if f.main == nil {
		f.Config = f.generator.config()
		return nil
	}
	f.Config = f.main.config()
	if f.generator == nil {
		return nil
	}
	g := f.generator.config()
	var differences []string
	for _, d := range []struct {
		what            string
		main, generator any
	}{
		{"vocabulary", f.Config.Data.VocabSize, g.Data.VocabSize},
		{"positions", f.Config.Data.SeqLen, g.Data.SeqLen},
		{"embedding width", f.Config.EmbeddingWidth(), g.EmbeddingWidth()},
		{"token types", f.Config.Embeddings.TokenTypes, g.Embeddings.TokenTypes},
		{"relative positions", f.Config.Positions, g.Positions},
	} {
		if d.main != d.generator {
			differences = append(differences, fmt.Sprintf("%s %v and %v", d.what, d.main, d.generator))
		}
	}
	if len(differences) > 0 {
		return usererr.New("%s and %s are no pair: %s", f.main.dir, f.generator.dir, strings.Join(differences, ", "))
	}
	f.Config.Generator, f.Config.Objective.GeneratorHead = g.Generator, g.Objective.GeneratorHead
	sharing, err := f.findSharing()
	f.Config.Sharing = sharing
	return err
}

// Shape returns c with everything that the folder decides: the fields of [Folder.Config] that describe the models that are
// there. Rows of tokens may be shorter than the folder's position table, which stays whole; dropout and the way of
// drawing first weights stay as they are.
func (f *Folder) Shape(c metro.Config) metro.Config {
	rows := f.Config.Data.SeqLen
	c.Data.VocabSize = f.Config.Data.VocabSize
	c.Embeddings, c.Positions = f.Config.Embeddings, f.Config.Positions
	switch {
	case c.Data.SeqLen == 0 || c.Positions.Absolute && c.Data.SeqLen > rows:
		c.Data.SeqLen = rows
	case c.Positions.Absolute && c.Data.SeqLen < rows:
		c.Positions.Rows = rows
	}
	shape := func(into *metro.Encoder, from metro.Encoder) {
		if into.Init != "" {
			from.Dropout, from.Init, from.InitScale = into.Dropout, into.Init, into.InitScale
		}
		*into = from
	}
	if f.main != nil {
		shape(&c.Main, f.Config.Main)
		c.Objective.RTDHead = f.Config.Objective.RTDHead
	}
	if f.generator != nil {
		shape(&c.Generator, f.Config.Generator)
		c.Objective.GeneratorHead = f.Config.Objective.GeneratorHead
	}
	if f.main != nil && f.generator != nil {
		c.Sharing = f.Config.Sharing
	}
	return c
}

// loadTokenizer reads the tokenizer, if there is one, and makes sure that it fits, and that both models of a pair have the
// same.
func (f *Folder) loadTokenizer() error {
	if !slices.ContainsFunc(f.parts(), func(p *part) bool { return tokens.InFolder(p.dir) }) {
		return nil
	}
	for _, p := range f.parts() {
		t, err := tokens.LoadFolder(p.dir)
		switch {
		case err != nil:
			return err
		case t.VocabSize() > p.settings.VocabSize:
			return usererr.New("%s: the tokenizer has %d tokens, but the model's table has %d", p.dir, t.VocabSize(), p.settings.VocabSize)
		case f.Tokenizer != nil && f.Tokenizer.Hash() != t.Hash():
			return usererr.New("%s and %s have different tokenizers", f.main.dir, f.generator.dir)
		}
		f.Tokenizer = t
	}
	return nil
}

// Close closes the files.
func (f *Folder) Close() error {
	var errs []error
	for _, p := range f.parts() {
		errs = append(errs, p.file.Close())
	}
	return errors.Join(errs...)
}

// findSharing returns the strongest sharing that loses nothing: the one whose shared tensors are equal in both models.
func (f *Folder) findSharing() (string, error) {
	const tables = "embeddings."
	equal := func(names ...string) (bool, error) {
		for _, name := range names {
			same, err := equalTensors(f.main, f.main.prefix+name, f.generator, f.generator.prefix+name)
			if err != nil || !same {
				return false, err
			}
		}
		return true, nil
	}
	var rest, body []string
	if f.Config.Positions.Absolute {
		rest = append(rest, tables+"position_embeddings.weight")
	}
	if f.Config.Embeddings.TokenTypes > 0 {
		rest = append(rest, tables+"token_type_embeddings.weight")
	}
	for _, j := range f.main.joints(f.Config) {
		if f.main.inEncoder(j.theirs) {
			body = append(body, strings.TrimPrefix(j.theirs, f.main.prefix))
		}
	}
	sharing := metro.SharingNone
	for _, step := range []struct {
		sharing string
		names   []string
		also    bool
	}{
		{metro.SharingToken, []string{tables + "word_embeddings.weight"}, true},
		{metro.SharingTokenPosition, rest, true},
		{metro.SharingTokenPositionNorm, []string{tables + "LayerNorm.weight", tables + "LayerNorm.bias"}, true},
		{metro.SharingAll, body, f.Config.Main == f.Config.Generator},
	} {
		same, err := equal(step.names...)
		if err != nil || !same || !step.also {
			return sharing, err
		}
		sharing = step.sharing
	}
	return sharing, nil
}
