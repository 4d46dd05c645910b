// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"metrolab/internal/bounded"
	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
	"metrolab/metro/tokens/internal/parts"
)

// oldAddedName is the file in which older programs kept tokens beyond the vocabulary, before tokenizer_config.json did.
const oldAddedName = "added_tokens.json"

// bertClasses read vocab.txt alike. A config may name none.
var bertClasses = []string{"", "BertTokenizer", "ElectraTokenizer", "DistilBertTokenizer"}

// loadVocab reads the tokenizer of a folder without tokenizer.json.
func (c *config) loadVocab(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, vocabName)
	data, err := bounded.ReadText(path, tokens.FileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usererr.New("no tokenizer in %s: it has neither a %s nor a %s", dir, jsonName, vocabName)
	case err != nil:
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, oldAddedName)); err == nil && len(c.Added) == 0 {
		return nil, usererr.New("tokenizer %s: %s does not say how its tokens are found in a text; save the folder with a program that writes %s", dir, oldAddedName, jsonName)
	}
	t, err := c.parseVocab(string(data))
	if err != nil {
		return nil, usererr.New("tokenizer %s: %w", path, err)
	}
	return t, nil
}

// parseVocab makes the tokenizer of a vocab.txt, one token a line, its id the number of lines before it. What the
// config does not say is as in BERT's tokenizer: uncased, ideographs apart, [UNK] and so on.
func (c *config) parseVocab(text string) (*Tokenizer, error) {
	if class := strings.TrimSuffix(c.Class, "Fast"); !slices.Contains(bertClasses, class) {
		return nil, usererr.New("tokenizer_class is %s, and only BERT's and ELECTRA's are known without a %s", c.Class, jsonName)
	}
	if c.DoBasicTokenize != nil && !*c.DoBasicTokenize {
		return nil, usererr.New("do_basic_tokenize false is not supported")
	}
	tokens, ids, err := vocabLines(text)
	if err != nil {
		return nil, err
	}
	added, err := c.added(ids)
	if err != nil {
		return nil, err
	}
	yes := true
	known := func(name, usual parts.TokenName) parts.NamedID {
		name = cmp.Or(name, usual)
		return parts.NamedID{Name: string(name), ID: ids[string(name)]}
	}
	return Parse(parts.RawJSON(describe(
		added,
		normalizerPart{section("BertNormalizer"), &yes, cmp.Or(c.TokenizeChineseChars, &yes), c.StripAccents, cmp.Or(c.DoLowerCase, &yes)},
		known(c.CLS, clsToken), known(c.SEP, sepToken),
		decoderPart{section("WordPiece"), trainedPrefix, true},
		modelPart[parts.OrderedVocab]{section("WordPiece"), known(c.UNK, unkToken).Name, trainedPrefix, bertMaxWordChars, tokens},
	)))
}

func vocabLines(text string) (tokens []string, ids map[string]int64, err error) {
	if !utf8.ValidString(text) {
		return nil, nil, usererr.New("it is not text in UTF-8")
	}
	tokens = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	ids = make(map[string]int64, len(tokens))
	for i, token := range tokens {
		token = strings.TrimSuffix(token, "\r")
		if token == "" {
			return nil, nil, usererr.New("line %d is empty; each must hold a token", i+1)
		}
		if first, twice := ids[token]; twice {
			return nil, nil, usererr.New("lines %d and %d both hold the token %q", first+1, i+1, token)
		}
		tokens[i], ids[token] = token, int64(i)
	}
	return tokens, ids, nil
}

// added returns the added tokens, by id: the five special ones, those that the config describes, and those that it only
// names, which come last where the vocabulary lacks them.
func (c *config) added(ids map[string]int64) ([]parts.AddedToken, error) {
	var list []parts.AddedToken
	has := func(name string) bool {
		return slices.ContainsFunc(list, func(a parts.AddedToken) bool { return a.Content == name })
	}
	for id, a := range c.Added {
		a.ID = id
		list = append(list, a)
	}
	beyond := int64(len(ids))
	for _, a := range list {
		beyond = max(beyond, a.ID+1)
	}
	for _, name := range []parts.TokenName{
		cmp.Or(c.PAD, padToken), cmp.Or(c.UNK, unkToken), cmp.Or(c.CLS, clsToken), cmp.Or(c.SEP, sepToken), cmp.Or(c.MASK, maskToken),
	} {
		id, ok := ids[string(name)]
		if !ok {
			return nil, usererr.New("the special token %q is on none of its %d lines", name, len(ids))
		}
		if !has(string(name)) {
			list = append(list, parts.AddedToken{ID: id, Content: string(name), Special: true})
		}
	}
	for _, name := range c.Additional {
		if has(string(name)) {
			continue
		}
		id, ok := ids[string(name)]
		if !ok {
			id = beyond
			beyond++
		}
		list = append(list, parts.AddedToken{ID: id, Content: string(name), Special: true})
	}
	slices.SortFunc(list, func(a, b parts.AddedToken) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}
