// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"metrolab/internal/atomicfile"
	"metrolab/internal/bounded"
	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
)

// The files of a tokenizer in a Hugging Face folder.
const (
	JSONName   = "tokenizer.json"
	ConfigName = "tokenizer_config.json"
	MapName    = "special_tokens_map.json"
)

// SpecialNames is special_tokens_map.json, and a part of tokenizer_config.json.
type SpecialNames struct {
	UNK        TokenName   `json:"unk_token,omitempty"`
	SEP        TokenName   `json:"sep_token,omitempty"`
	PAD        TokenName   `json:"pad_token,omitempty"`
	CLS        TokenName   `json:"cls_token,omitempty"`
	MASK       TokenName   `json:"mask_token,omitempty"`
	Additional []TokenName `json:"additional_special_tokens,omitempty"`
}

// TokenName is read from a string or from an object with the string as its content.
type TokenName string

// UnmarshalJSON reads it.
func (n *TokenName) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(data, &object); err == nil {
		*n = TokenName(object.Content)
		return nil
	}
	return json.Unmarshal(data, (*string)(n))
}

// NamesOf returns the names of t's special tokens; added are its added tokens.
func NamesOf(t tokens.Tokenizer, added []AddedToken) SpecialNames {
	name := func(id int32) TokenName { return TokenName(t.Token(id)) }
	s := t.Special()
	names := SpecialNames{UNK: name(s.UNK), SEP: name(s.SEP), PAD: name(s.PAD), CLS: name(s.CLS), MASK: name(s.MASK)}
	for _, a := range added {
		switch int32(a.ID) {
		case s.UNK, s.SEP, s.PAD, s.CLS, s.MASK:
		default:
			if a.Special {
				names.Additional = append(names.Additional, TokenName(a.Content))
			}
		}
	}
	return names
}

// Contradicts returns an error where the small files name other special tokens than tokenizer.json, whose are names:
// programs differ in which they believe.
func (n SpecialNames) Contradicts(names SpecialNames) error {
	for _, s := range []struct {
		name       string
		here, json TokenName
	}{
		{"unk_token", n.UNK, names.UNK}, {"sep_token", n.SEP, names.SEP}, {"pad_token", n.PAD, names.PAD},
		{"cls_token", n.CLS, names.CLS}, {"mask_token", n.MASK, names.MASK},
	} {
		if s.here != "" && s.here != s.json {
			return usererr.New("%s is %q in %s or %s, and %q by %s; make them agree", s.name, s.here, ConfigName, MapName, s.json, JSONName)
		}
	}
	return nil
}

// ReadConfig reads the two small files of dir: the map into names, then the config into config, of which names should be a
// part, so that of the special tokens the config's go first.
func ReadConfig(dir string, names *SpecialNames, config any) error {
	for _, f := range []struct {
		name string
		into any
	}{{MapName, names}, {ConfigName, config}} {
		path := filepath.Join(dir, f.name)
		data, err := bounded.ReadText(path, tokens.FileLimit)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		}
		if err := json.Unmarshal(data, f.into); err != nil {
			return usererr.New("tokenizer settings %s cannot be read: %w", path, err)
		}
	}
	return nil
}

// FileData is what is written to a file of a folder.
type FileData struct {
	Name string
	Data []byte
}

// SaveFolder writes files into dir, which is made if need be, each all or nothing.
func SaveFolder(dir string, files ...FileData) error {
	if err := atomicfile.MkdirAll(dir); err != nil {
		return fmt.Errorf("saving tokenizer: %w", err)
	}
	for _, f := range files {
		if err := Save(filepath.Join(dir, f.Name), f.Data); err != nil {
			return err
		}
	}
	return nil
}

// Save writes data to path, all or nothing: a file that was there stays whole until the new one is.
func Save(path string, data []byte) error {
	if err := atomicfile.WriteFile(path, data); err != nil {
		return fmt.Errorf("saving tokenizer %s: %w", path, err)
	}
	return nil
}
