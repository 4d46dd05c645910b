// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"metrolab/internal/randstream"
	"metrolab/internal/usererr"
	"metrolab/metro/text"
)

// The sizes of [Families] at most, for each family: texts to train on, and texts to choose settings by and to test on.
const (
	familyTrainTexts = 800
	familyHeldTexts  = 150
)

// Families is the probe on the default corpus: a paragraph of the standard library's documentation → which of
// [text.Families] it is from. Each part is from the corpus's split of that name, so that no model was trained on the texts that
// settings are chosen by ([Choose]) nor on those of the test, and no setting is chosen by the test. Of each family at most 800
// texts are for training and 150 each for the other two, so that the large ones do not drown the small. Which ones follows
// from the texts alone: every model and every seed gets the same.
//
// A corpus without these labels, such as one's own text, is the user's mistake.
func Families(corpus *text.Corpus) (Classification, error) {
	t := Classification{Name: "families", Source: corpus.Source, Classes: text.Families}
	lacking := map[string]bool{}
	for _, part := range []struct {
		split    text.Split
		most     int
		examples *[]Example
	}{{text.Train, familyTrainTexts, &t.Train}, {text.Validation, familyHeldTexts, &t.Validation}, {text.Test, familyHeldTexts, &t.Test}} {
		texts, err := familyTexts(corpus, part.split, part.most)
		if err != nil {
			return Classification{}, err
		}
		for class, family := range t.Classes {
			if len(texts[class]) == 0 {
				lacking[family] = true
			}
			*part.examples = appendTexts(*part.examples, texts[class], class)
		}
	}
	if len(lacking) > 0 {
		return Classification{}, usererr.New("the corpus %s has too few paragraphs labelled as from the Go packages %s: the probe needs the default corpus (%s), or labelled texts of your own",
			corpus.Source, strings.Join(slices.Sorted(maps.Keys(lacking)), ", "), text.Default)
	}
	return t, nil
}

func appendTexts(to []Example, texts []string, class int) []Example {
	for _, text := range texts {
		to = append(to, Example{Text: text, Class: class})
	}
	return to
}

// familyTexts returns at most limit texts of each family in a split: those whose hashes come first, in that order.
func familyTexts(corpus *text.Corpus, split text.Split, limit int) ([][]string, error) {
	kept := make([]sample, len(text.Families))
	for doc, err := range corpus.Documents(split) {
		if err != nil {
			return nil, fmt.Errorf("look for texts to label: %w", err)
		}
		if family, ok := text.Family(doc.Label); ok {
			kept[slices.Index(text.Families, family)].add(doc.Text, limit)
		}
	}
	texts := make([][]string, len(kept))
	for class := range kept {
		texts[class] = kept[class].texts(limit)
	}
	return texts, nil
}

// sample keeps the texts with the lowest hashes: a random choice that does not depend on the order they come in.
type sample []hashed

type hashed struct {
	key  uint64
	text string
}

func (s *sample) add(text string, limit int) {
	key, _ := randstream.Key(0, "families/"+text)
	*s = append(*s, hashed{key, text})
	if len(*s) >= 2*limit {
		s.cut(limit)
	}
}

func (s *sample) cut(limit int) {
	slices.SortFunc(*s, func(a, b hashed) int {
		return cmp.Or(cmp.Compare(a.key, b.key), strings.Compare(a.text, b.text))
	})
	*s = (*s)[:min(len(*s), limit)]
}

func (s *sample) texts(limit int) []string {
	s.cut(limit)
	texts := make([]string, len(*s))
	for i, h := range *s {
		texts[i] = h.text
	}
	return texts
}
