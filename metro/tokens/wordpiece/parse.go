// SPDX-License-Identifier: Apache-2.0

package wordpiece

import (
	"encoding/json"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens/internal/parts"
)

// wordCharsLimit bounds max_input_chars_per_word: the search for the longest piece is quadratic in it.
const wordCharsLimit = 1000

// Load reads a tokenizer.json file; see [Parse].
func Load(path string) (*Tokenizer, error) { return parts.Load(path, Parse) }

// Parse reads a Hugging Face tokenizer.json with a WordPiece model, a BertNormalizer, a BertPreTokenizer, a
// post-processor that makes [CLS] A [SEP] (whatever their names), a WordPiece decoder, the tokens [PAD] and [MASK], and
// added tokens without lstrip, rstrip, single_word and normalized. Anything else is an error that names what was
// found and is marked as the user's. The sections truncation and padding are read past: length is the business of
// whoever makes batches.
func Parse(data []byte) (*Tokenizer, error) {
	var f parts.File
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, usererr.New("not a tokenizer.json: %w", err)
	}
	t := &Tokenizer{}
	for _, read := range []func(*parts.File) error{
		t.readNormalizer, t.readModel, t.readAdded, t.readPostProcessor, t.readDecoder,
	} {
		if err := read(&f); err != nil {
			return nil, err
		}
	}
	if err := t.assign(&t.special.PAD, padToken); err != nil {
		return nil, err
	}
	if err := t.assign(&t.special.MASK, maskToken); err != nil {
		return nil, err
	}
	t.finish()
	return t, nil
}

func (t *Tokenizer) readNormalizer(f *parts.File) error {
	var n normalizerPart
	if err := parts.ReadSection("normalizer", f.Normalizer, "BertNormalizer", &n); err != nil {
		return err
	}
	if n.CleanText == nil || n.HandleChineseChars == nil || n.Lowercase == nil {
		return usererr.New("the normalizer lacks clean_text, handle_chinese_chars or lowercase")
	}
	t.rules = rules{
		cleanText: *n.CleanText, spaceIdeographs: *n.HandleChineseChars, stripAccents: *n.Lowercase, lowercase: *n.Lowercase,
	}
	if t.stripWritten = n.StripAccents; n.StripAccents != nil {
		t.stripAccents = *n.StripAccents
	}
	return parts.ReadSection("pre_tokenizer", f.PreTokenizer, "BertPreTokenizer", &parts.Section{})
}

func (t *Tokenizer) readModel(f *parts.File) error {
	var m modelPart[map[string]int64]
	if err := parts.ReadSection("model", f.Model, "WordPiece", &m); err != nil {
		return err
	}
	if m.Prefix == "" {
		return usererr.New("the model has no continuing_subword_prefix, so inner pieces cannot be told from first ones")
	}
	if m.MaxWordChars < 1 || m.MaxWordChars > wordCharsLimit {
		return usererr.New("max_input_chars_per_word is %d; it must be from 1 to %d", m.MaxWordChars, wordCharsLimit)
	}
	t.prefix, t.maxWordChars = m.Prefix, m.MaxWordChars
	if err := t.readVocab(m.Vocab); err != nil {
		return err
	}
	if err := t.assign(&t.special.UNK, m.UnkToken); err != nil {
		return usererr.New("unk_token: %w", err)
	}
	return nil
}

func (t *Tokenizer) readVocab(vocab map[string]int64) error {
	var err error
	if t.tokens, err = parts.OrderVocab(vocab); err != nil {
		return err
	}
	t.pieces = make(map[string]int32, len(vocab))
	for id, token := range t.tokens {
		t.pieces[token] = int32(id)
	}
	return nil
}

func (t *Tokenizer) readAdded(f *parts.File) error {
	t.added = f.AddedTokens
	t.addedIDs = make(map[string]int32, len(t.added))
	for _, a := range t.added {
		if a.LStrip || a.RStrip || a.SingleWord || a.Normalized {
			return usererr.New("added token %q has lstrip, rstrip, single_word or normalized set, which is not supported",
				a.Content)
		}
		if _, twice := t.addedIDs[a.Content]; twice || a.Content == "" {
			return usererr.New("added token %q with id %d is empty or stands there twice", a.Content, a.ID)
		}
		id, ok := t.pieces[a.Content]
		if !ok {
			id = int32(len(t.tokens))
			t.tokens = append(t.tokens, a.Content)
		}
		if int64(id) != a.ID {
			return usererr.New("added token %q has id %d; by the vocabulary it is %d", a.Content, a.ID, id)
		}
		t.addedIDs[a.Content] = id
	}
	slices.SortFunc(t.added, func(a, b parts.AddedToken) int { return int(a.ID - b.ID) })
	return nil
}

func (t *Tokenizer) readPostProcessor(f *parts.File) error {
	const name, template = "post_processor", "TemplateProcessing"
	var cls, sep parts.NamedID
	if parts.Kind(f.PostProcessor) == "BertProcessing" {
		var p parts.EndsPart
		if err := parts.ReadSection(name, f.PostProcessor, "BertProcessing", &p); err != nil {
			return err
		}
		cls, sep = p.CLS, p.SEP
	} else {
		var p parts.TemplatePart
		if err := parts.ReadSection(name, f.PostProcessor, template, &p); err != nil {
			return err
		}
		var err error
		if cls, sep, err = ends(&p); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		parts.NamedID
		to *int32
	}{{cls, &t.special.CLS}, {sep, &t.special.SEP}} {
		if err := t.assign(s.to, s.Name); err != nil {
			return usererr.New("post_processor: %w", err)
		}
		if int64(*s.to) != s.ID {
			return usererr.New("the post_processor gives %q the id %d; by the vocabulary it is %d", s.Name, s.ID, *s.to)
		}
	}
	return nil
}

// ends returns the tokens that a template puts before and after a text, if it is BERT's.
func ends(p *parts.TemplatePart) (cls, sep parts.NamedID, err error) {
	if len(p.Single) == 3 && p.Single[0].SpecialToken != nil && p.Single[2].SpecialToken != nil {
		cls.Name, sep.Name = p.Single[0].SpecialToken.ID, p.Single[2].SpecialToken.ID
	}
	single, pair := parts.BertTemplates(cls.Name, sep.Name)
	if p.Single.String() != single.String() || p.Pair.String() != pair.String() {
		return cls, sep, usererr.New("the post_processor's templates are %v and %v; only %v and %v are supported",
			p.Single, p.Pair, single, pair)
	}
	for _, s := range []*parts.NamedID{&cls, &sep} {
		ids := p.SpecialTokens[s.Name].IDs
		if len(ids) != 1 {
			return cls, sep, usererr.New("the post_processor gives %q the ids %v; one is needed", s.Name, ids)
		}
		s.ID = ids[0]
	}
	return cls, sep, nil
}

func (t *Tokenizer) readDecoder(f *parts.File) error {
	var d decoderPart
	if err := parts.ReadSection("decoder", f.Decoder, "WordPiece", &d); err != nil {
		return err
	}
	if d.Prefix != t.prefix {
		return usererr.New("the decoder's prefix %q is not the model's, %q", d.Prefix, t.prefix)
	}
	t.cleanup = d.Cleanup
	return nil
}

// assign sets to the id of a token that must be there.
func (t *Tokenizer) assign(to *int32, token string) error {
	id, ok := t.ID(token)
	if !ok {
		return usererr.New("token %q is not in the vocabulary", token)
	}
	*to = id
	return nil
}
