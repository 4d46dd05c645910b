// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// config is tokenizer_config.json: what is written, and of others' files what is understood.
type config struct {
	Class          string      `json:"tokenizer_class,omitempty"`
	ModelMaxLength json.Number `json:"model_max_length,omitempty"`
	parts.SpecialNames
}

// SaveFolder writes the tokenizer into dir, which is made if need be: tokenizer.json, tokenizer_config.json and
// special_tokens_map.json, each all or nothing, and spiece.model where SentencePiece can be told all that tokenizer.json says.
// maxLength is the number of tokens that the model takes, those around a text
// counted.
func (t *Tokenizer) SaveFolder(dir string, maxLength int) error {
	c := config{"PreTrainedTokenizerFast", json.Number(strconv.Itoa(maxLength)), parts.NamesOf(t, t.file.AddedTokens)}
	files := []parts.FileData{
		{Name: parts.ConfigName, Data: parts.Indented(parts.RawJSON(c))},
		{Name: parts.MapName, Data: parts.Indented(parts.RawJSON(c.SpecialNames))},
		{Name: parts.JSONName, Data: t.JSON()},
	}
	if model, ok := t.spmFile(c); ok {
		files = append(files, parts.FileData{Name: spmName, Data: model})
	}
	return parts.SaveFolder(dir, files...)
}

// LoadFolder reads the tokenizer of a Hugging Face folder: from tokenizer.json as [Load] does or, in a folder without one, from
// spiece.model, with the special tokens that the small files name. Small files that name other special tokens than
// tokenizer.json are the user's mistake.
func LoadFolder(dir string) (*Tokenizer, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, usererr.New("no tokenizer folder: %w", err)
	}
	var c config
	if err := parts.ReadConfig(dir, &c.SpecialNames, &c); err != nil {
		return nil, err
	}
	t, err := Load(filepath.Join(dir, parts.JSONName))
	if errors.Is(err, fs.ErrNotExist) {
		t, err = c.loadSPM(dir)
	}
	if err != nil {
		return nil, err
	}
	if err := c.Contradicts(parts.NamesOf(t, t.file.AddedTokens)); err != nil {
		return nil, usererr.New("tokenizer %s: %w", dir, err)
	}
	return t, nil
}
