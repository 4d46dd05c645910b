// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"metrolab/internal/atomicfile"
	"metrolab/internal/bounded"
	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
)

// The files of a tokenizer in a Hugging Face folder.
const (
	jsonName   = "tokenizer.json"
	vocabName  = "vocab.txt"
	configName = "tokenizer_config.json"
	mapName    = "special_tokens_map.json"
)

// config is tokenizer_config.json: what is written, and of others' files what is understood. A field that is nil or
// empty was not there.
type config struct {
	Class                string               `json:"tokenizer_class,omitempty"`
	DoLowerCase          *bool                `json:"do_lower_case,omitempty"`
	StripAccents         *bool                `json:"strip_accents"`
	TokenizeChineseChars *bool                `json:"tokenize_chinese_chars,omitempty"`
	DoBasicTokenize      *bool                `json:"do_basic_tokenize,omitempty"`
	ModelMaxLength       json.Number          `json:"model_max_length,omitempty"` // 10³⁰ in some files
	Added                map[int64]addedToken `json:"added_tokens_decoder,omitempty"`
	specialNames
}

// specialNames is special_tokens_map.json, and a part of tokenizer_config.json.
type specialNames struct {
	UNK        tokenName   `json:"unk_token,omitempty"`
	SEP        tokenName   `json:"sep_token,omitempty"`
	PAD        tokenName   `json:"pad_token,omitempty"`
	CLS        tokenName   `json:"cls_token,omitempty"`
	MASK       tokenName   `json:"mask_token,omitempty"`
	Additional []tokenName `json:"additional_special_tokens,omitempty"`
}

// tokenName is read from a string or from an object with the string as its content.
type tokenName string

func (n *tokenName) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(data, &object); err == nil {
		*n = tokenName(object.Content)
		return nil
	}
	return json.Unmarshal(data, (*string)(n))
}

// SaveFolder writes the tokenizer into dir, which is made if need be, as ELECTRA's and BERT's folders have it:
// tokenizer.json, vocab.txt, tokenizer_config.json and special_tokens_map.json, each all or nothing. maxLength is the
// number of tokens, [CLS] and [SEP] counted, that the model takes.
//
// The class named there is ElectraTokenizer (which is BERT's), or PreTrainedTokenizerFast where a setting differs from
// what ElectraTokenizer takes for granted. The last three files alone describe the first kind in full, but for added
// tokens that are not special.
func (t *Tokenizer) SaveFolder(dir string, maxLength int) error {
	var vocab strings.Builder
	for _, token := range t.tokens[:len(t.pieces)] {
		if strings.ContainsAny(token, "\r\n") {
			return usererr.New("saving tokenizer %s: %s cannot hold the token %q, which has a line break in it", dir, vocabName, token)
		}
		vocab.WriteString(token + "\n")
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return fmt.Errorf("saving tokenizer: %w", err)
	}
	c := t.config(maxLength)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{vocabName, []byte(vocab.String())},
		{configName, indented(rawJSON(c))},
		{mapName, indented(rawJSON(c.specialNames))},
		{jsonName, t.JSON()},
	} {
		if err := save(filepath.Join(dir, f.name), f.data); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tokenizer) config(maxLength int) config {
	c := config{
		Class:       "PreTrainedTokenizerFast",
		DoLowerCase: &t.lowercase, StripAccents: t.stripWritten, TokenizeChineseChars: &t.spaceIdeographs,
		ModelMaxLength: json.Number(strconv.Itoa(maxLength)),
		specialNames:   t.specialNames(),
	}
	if t.cleanText && t.cleanup && t.prefix == trainedPrefix && t.maxWordChars == bertMaxWordChars {
		c.Class = "ElectraTokenizer"
	}
	return c
}

func (t *Tokenizer) specialNames() specialNames {
	name := func(id int32) tokenName { return tokenName(t.Token(id)) }
	s := t.special
	names := specialNames{UNK: name(s.UNK), SEP: name(s.SEP), PAD: name(s.PAD), CLS: name(s.CLS), MASK: name(s.MASK)}
	for _, a := range t.added {
		switch int32(a.ID) {
		case s.UNK, s.SEP, s.PAD, s.CLS, s.MASK:
		default:
			if a.Special {
				names.Additional = append(names.Additional, tokenName(a.Content))
			}
		}
	}
	return names
}

// LoadFolder reads the tokenizer of a Hugging Face folder: from tokenizer.json as [Load] does, or, in a folder without
// one, from vocab.txt under the rules of BERT's tokenizer, with the settings and special tokens of tokenizer_config.json
// and special_tokens_map.json where these are there. A folder without either, files that contradict each other, and
// tokenizers of another kind are the user's mistakes.
func LoadFolder(dir string) (*Tokenizer, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, usererr.New("no tokenizer folder: %w", err)
	}
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, jsonName)
	if t, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return nil, err
		}
		if err := c.contradicts(t); err != nil {
			return nil, usererr.New("tokenizer %s: %w", dir, err)
		}
		return t, nil
	}
	return c.loadVocab(dir)
}

// readConfig reads the two small files of dir. Of the special tokens, the config's go first.
func readConfig(dir string) (*config, error) {
	c := &config{}
	for _, f := range []struct {
		name string
		into any
	}{{mapName, &c.specialNames}, {configName, c}} {
		path := filepath.Join(dir, f.name)
		data, err := bounded.ReadFile(path, tokens.FileLimit)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		if err := json.Unmarshal(data, f.into); err != nil {
			return nil, usererr.New("tokenizer settings %s cannot be read: %w", path, err)
		}
	}
	return c, nil
}

// contradicts returns an error where the config says otherwise than tokenizer.json: programs differ in which they
// believe, so that texts would be read differently here and there.
func (c *config) contradicts(t *Tokenizer) error {
	for _, s := range []struct {
		name string
		here *bool
		json bool
	}{
		{"do_lower_case", c.DoLowerCase, t.lowercase},
		{"strip_accents", c.StripAccents, t.stripAccents},
		{"tokenize_chinese_chars", c.TokenizeChineseChars, t.spaceIdeographs},
	} {
		if s.here != nil && *s.here != s.json {
			return usererr.New("%s is %t in %s, and %t by %s; make them agree", s.name, *s.here, configName, s.json, jsonName)
		}
	}
	names := t.specialNames()
	for _, s := range []struct {
		name       string
		here, json tokenName
	}{
		{"unk_token", c.UNK, names.UNK}, {"sep_token", c.SEP, names.SEP}, {"pad_token", c.PAD, names.PAD},
		{"cls_token", c.CLS, names.CLS}, {"mask_token", c.MASK, names.MASK},
	} {
		if s.here != "" && s.here != s.json {
			return usererr.New("%s is %q in %s or %s, and %q by %s; make them agree", s.name, s.here, configName, mapName, s.json, jsonName)
		}
	}
	return nil
}
