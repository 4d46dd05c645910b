// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
	"metrolab/metro/tokens/internal/parts"
)

// Load reads a tokenizer.json file; see [Parse].
func Load(path string) (*Tokenizer, error) { return parts.Load(path, Parse) }

// Parse reads a Hugging Face tokenizer.json with a BPE or Unigram model and the normalizers, pre-tokenizers, decoders and
// post-processors that the functions here know by name. It must have a post-processor that puts one token before and one
// after a text, and tokens for padding, masking and what is unknown: [PAD] or <pad>, [MASK] or <mask>, and the model's own or
// [UNK] or <unk>. Anything else is an error that names what was found and is marked as the user's. The sections truncation and
// padding are read past: length is the business of whoever makes batches.
func Parse(data []byte) (*Tokenizer, error) {
	var f parts.File
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, usererr.New("not a tokenizer.json: %w", err)
	}
	t := &Tokenizer{}
	for _, read := range []func(*parts.File) error{
		t.readSteps, t.readModel, t.readAdded, t.readSpecial, t.readPostProcessor,
	} {
		if err := read(&f); err != nil {
			return nil, err
		}
	}
	t.file = parts.File{
		Version: "1.0", AddedTokens: f.AddedTokens,
		Normalizer: canonical(f.Normalizer), PreTokenizer: canonical(f.PreTokenizer),
		PostProcessor: canonical(f.PostProcessor), Decoder: canonical(f.Decoder),
	}
	t.space = t.mark()
	t.continues()
	t.encoders.New = t.newEncoder
	return t, nil
}

// readSteps reads what comes before and after the model.
func (t *Tokenizer) readSteps(f *parts.File) (err error) {
	if t.normalizers, err = readNormalizers(f.Normalizer); err != nil {
		return err
	}
	if t.pre, err = readPreTokenizer(f.PreTokenizer); err != nil {
		return err
	}
	t.decoders, err = readDecoders(f.Decoder)
	return err
}

// mark is what the vocabulary writes for a space: Ġ, or what the pre-tokenizer or the normalizers put in its place.
func (t *Tokenizer) mark() string {
	switch {
	case t.pre.byteLevel:
		return string(spaceRune)
	case strings.Contains(string(t.file.PreTokenizer)+string(t.file.Normalizer), spmSpace):
		return spmSpace
	}
	return ""
}

func (t *Tokenizer) readModel(f *parts.File) (err error) {
	switch kind := parts.Kind(f.Model); {
	case kind == "BPE" || kind == "of no type" && strings.Contains(string(f.Model), `"merges"`):
		t.model, t.tokens, err = pointer(readBPE(f.Model, t.pre.byteLevel))
	case kind == "Unigram" && t.pre.byteLevel:
		err = usererr.New("the model is Unigram and the pre_tokenizer ByteLevel, which is not supported together")
	case kind == "Unigram":
		t.model, t.tokens, err = pointer(readUnigram(f.Model))
	default:
		err = usererr.New("the model is %s; only BPE and Unigram are supported", kind)
	}
	t.own = len(t.tokens)
	t.ids = make(map[string]int32, len(t.tokens))
	for id, token := range t.tokens {
		t.ids[token] = int32(id)
	}
	return err
}

// pointer makes a model of what a reader returns.
func pointer[M model](m M, tokens []string, err error) (model, []string, error) {
	return m, tokens, err
}

func (t *Tokenizer) readAdded(f *parts.File) error {
	slices.SortFunc(f.AddedTokens, func(a, b parts.AddedToken) int { return int(a.ID - b.ID) })
	t.decoded = make(map[int32]string)
	raw, normalized := map[string]parts.AddedToken{}, map[string]parts.AddedToken{}
	var last string
	for _, a := range f.AddedTokens {
		if a.Content == "" || a.Content == last {
			return usererr.New("added token %q with id %d is empty or stands there twice", a.Content, a.ID)
		}
		last = a.Content
		id, ok := t.ids[a.Content]
		if !ok {
			id = int32(len(t.tokens))
			t.tokens, t.ids[a.Content] = append(t.tokens, a.Content), id
		}
		if int64(id) != a.ID {
			return usererr.New("added token %q has id %d; by the vocabulary it is %d", a.Content, a.ID, id)
		}
		if !a.Normalized {
			raw[a.Content] = a
		} else if p := t.normalize(a.Content); p != "" {
			normalized[p], t.decoded[int32(a.ID)] = a, p
		}
	}
	t.raw, t.normalized = newAdded(raw), newAdded(normalized)
	t.isSpecial = make([]bool, len(t.tokens))
	for _, a := range f.AddedTokens {
		t.isSpecial[a.ID] = a.Special
	}
	return nil
}

// normalize is what becomes of a text that is normalized.
func (t *Tokenizer) normalize(text string) string {
	p := valid(whole(text, 0, len(text)), false)
	for _, n := range t.normalizers {
		p = n(p, false)
	}
	return p.text
}

// readSpecial finds the tokens for padding, masking and what is unknown. They are special whatever the file says.
func (t *Tokenizer) readSpecial(*parts.File) error {
	unk := int32(-1)
	switch m := t.model.(type) {
	case *bpe:
		unk = m.unk
	case *unigram:
		unk = m.unk
	}
	for _, s := range []struct {
		to    *int32
		known int32
		names []string
		what  string
	}{
		{&t.special.UNK, unk, []string{"[UNK]", "<unk>"}, "what is unknown"},
		{&t.special.PAD, -1, []string{"[PAD]", "<pad>"}, "padding"},
		{&t.special.MASK, -1, []string{"[MASK]", "<mask>"}, "masking"},
	} {
		for _, name := range s.names {
			if id, ok := t.ids[name]; ok && s.known < 0 {
				s.known = id
			}
		}
		if s.known < 0 {
			return usererr.New("the tokenizer has no token for %s: neither %s is in its vocabulary; add it", s.what, strings.Join(s.names, " nor "))
		}
		*s.to = s.known
		t.isSpecial[s.known] = true
	}
	return nil
}

// postProcessor is what post_processor sections have.
type postProcessor struct {
	parts.EndsPart
	Single        parts.Template                `json:"single"`
	PairTemplate  parts.Template                `json:"pair"`
	SpecialTokens map[string]parts.TemplateSpec `json:"special_tokens"`
	List          []json.RawMessage             `json:"processors"` // Sequence
}

func (t *Tokenizer) readPostProcessor(f *parts.File) error {
	if err := t.process(f.PostProcessor); err != nil {
		return err
	}
	if t.pair == nil {
		return usererr.New("the post_processor is %s; one is needed that puts a token before and a token after a text, such as TemplateProcessing", parts.Kind(f.PostProcessor))
	}
	for _, id := range []int32{t.special.CLS, t.special.SEP} {
		t.isSpecial[id] = true
	}
	return nil
}

func (t *Tokenizer) process(raw json.RawMessage) error {
	var p postProcessor
	kind := parts.Kind(raw)
	if kind == "null" || kind == "missing" {
		return nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return usererr.New("the post_processor %s cannot be read: %w", kind, err)
	}
	trims := func() {
		t.trim, t.prefixSpace = p.TrimOffsets == nil || *p.TrimOffsets, p.AddPrefixSpace == nil || *p.AddPrefixSpace
	}
	switch kind {
	case "Sequence":
		for _, raw := range p.List {
			if err := t.process(raw); err != nil {
				return err
			}
		}
		return nil
	case "ByteLevel":
		trims()
		return nil
	case "TemplateProcessing":
		return t.template(&p)
	case "BertProcessing", "RobertaProcessing":
		if err := t.ends(p.CLS, p.SEP); err != nil {
			return err
		}
		t.pair = tokens.BertTemplate(t.special)
		if kind == "RobertaProcessing" {
			trims()
			cls, sep := tokens.Part{ID: t.special.CLS}, tokens.Part{ID: t.special.SEP}
			t.pair = tokens.Template{cls, {Text: 1}, sep, sep, {Text: 2}, sep}
		}
		return nil
	}
	return usererr.New("the post_processor %s is not supported; known are TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel and Sequence", kind)
}

// ends takes the tokens before and after a text.
func (t *Tokenizer) ends(cls, sep parts.NamedID) error {
	for _, s := range []struct {
		parts.NamedID
		to *int32
	}{{cls, &t.special.CLS}, {sep, &t.special.SEP}} {
		if id, ok := t.ids[s.Name]; !ok || int64(id) != s.ID {
			return usererr.New("the post_processor gives %q the id %d; by the vocabulary it is %s", s.Name, s.ID, idOrNone(id, ok))
		}
		*s.to = int32(s.ID)
	}
	if cls == sep {
		return usererr.New("the post_processor puts %q before and after a text; two tokens are needed", cls.Name)
	}
	return nil
}

func idOrNone(id int32, ok bool) string {
	if !ok {
		return "none"
	}
	return fmt.Sprint(id)
}

// template reads templates of one text and of two. That of one must be a token, the text, a token.
func (t *Tokenizer) template(p *postProcessor) error {
	named := func(s *parts.TemplateID) (parts.NamedID, error) {
		ids := p.SpecialTokens[s.ID].IDs
		if len(ids) != 1 {
			return parts.NamedID{}, usererr.New("the post_processor gives %q the ids %v; one is needed", s.ID, ids)
		}
		if ids[0] < 0 || ids[0] >= int64(len(t.tokens)) {
			return parts.NamedID{}, usererr.New("the post_processor gives %q the id %d, beyond its vocabulary of %d", s.ID, ids[0], len(t.tokens))
		}
		return parts.NamedID{Name: t.Token(int32(ids[0])), ID: ids[0]}, nil
	}
	one := p.Single
	if len(one) != 3 || one[0].SpecialToken == nil || one[1].Sequence == nil || one[1].Sequence.ID != "A" || one[2].SpecialToken == nil {
		return usererr.New("the post_processor's template of one text is %v; a token, the text and a token are supported", one)
	}
	cls, err := named(one[0].SpecialToken)
	if err != nil {
		return err
	}
	sep, err := named(one[2].SpecialToken)
	if err != nil {
		return err
	}
	if err := t.ends(cls, sep); err != nil {
		return err
	}
	texts := ""
	for _, piece := range p.PairTemplate {
		switch {
		case piece.SpecialToken != nil:
			id, err := named(piece.SpecialToken)
			if err != nil {
				return err
			}
			t.pair = append(t.pair, tokens.Part{ID: int32(id.ID), Type: piece.SpecialToken.TypeID})
		case piece.Sequence != nil:
			texts += piece.Sequence.ID
			t.pair = append(t.pair, tokens.Part{Text: len(texts), Type: piece.Sequence.TypeID})
		}
	}
	if texts != "AB" {
		return usererr.New("the post_processor's template of two texts is %v; it must have the text A, then the text B", p.PairTemplate)
	}
	return nil
}
