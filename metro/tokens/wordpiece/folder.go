// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// The files of a tokenizer in a Hugging Face folder.
const (
	jsonName   = parts.JSONName
	vocabName  = "vocab.txt"
	configName = parts.ConfigName
	mapName    = parts.MapName
)

// config is tokenizer_config.json: what is written, and of others' files what is understood. A field that is nil or
// empty was not there.
type config struct {
	Class                string                     `json:"tokenizer_class,omitempty"`
	DoLowerCase          *bool                      `json:"do_lower_case,omitempty"`
	StripAccents         *bool                      `json:"strip_accents"`
	TokenizeChineseChars *bool                      `json:"tokenize_chinese_chars,omitempty"`
	DoBasicTokenize      *bool                      `json:"do_basic_tokenize,omitempty"`
	ModelMaxLength       json.Number                `json:"model_max_length,omitempty"` // 10³⁰ in some files
	Added                map[int64]parts.AddedToken `json:"added_tokens_decoder,omitempty"`
	parts.SpecialNames
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
	c := t.config(maxLength)
	return parts.SaveFolder(dir,
		parts.FileData{Name: vocabName, Data: []byte(vocab.String())},
		parts.FileData{Name: configName, Data: parts.Indented(parts.RawJSON(c))},
		parts.FileData{Name: mapName, Data: parts.Indented(parts.RawJSON(c.SpecialNames))},
		parts.FileData{Name: jsonName, Data: t.JSON()},
	)
}

func (t *Tokenizer) config(maxLength int) config {
	c := config{
		Class:       "PreTrainedTokenizerFast",
		DoLowerCase: &t.lowercase, StripAccents: t.stripWritten, TokenizeChineseChars: &t.spaceIdeographs,
		ModelMaxLength: json.Number(strconv.Itoa(maxLength)),
		SpecialNames:   parts.NamesOf(t, t.added),
	}
	if t.cleanText && t.cleanup && t.prefix == trainedPrefix && t.maxWordChars == bertMaxWordChars {
		c.Class = "ElectraTokenizer"
	}
	return c
}

// LoadFolder reads the tokenizer of a Hugging Face folder: from tokenizer.json as [Load] does, or, in a folder without
// one, from vocab.txt under the rules of BERT's tokenizer, with the settings and special tokens of tokenizer_config.json
// and special_tokens_map.json where these are there. A folder without either, files that contradict each other, and
// tokenizers of another kind are the user's mistakes.
func LoadFolder(dir string) (*Tokenizer, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, usererr.New("no tokenizer folder: %w", err)
	}
	c := &config{}
	if err := parts.ReadConfig(dir, &c.SpecialNames, c); err != nil {
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
	return c.Contradicts(parts.NamesOf(t, t.added))
}
