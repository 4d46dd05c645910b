// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// readReCoRD reads ReCoRD as SuperGLUE has it: passages with the places of their entities, in characters, the last one included,
// and statements with answers. An entity that the passage names again is one candidate.
func readReCoRD(path string, _ Spec, bad *badRows, visit func(item)) error {
	type row struct {
		Idx     any
		Passage struct {
			Text     string
			Entities []struct{ Start, End int }
		}
		Qas []struct {
			Idx     any
			Query   string
			Answers []struct{ Text string }
		}
	}
	return readRecords(path, true, nil, bad, func(r record) error {
		raw, err := json.Marshal(r.fields)
		if err != nil {
			return err
		}
		var passage row
		if err := json.Unmarshal(raw, &passage); err != nil {
			return err
		}
		text := passage.Passage.Text
		if text == "" || len(passage.Passage.Entities) == 0 {
			return errors.New(`there is no "passage" with a "text" and "entities"`)
		}
		var names []string
		bytes := byteOf(text + " ")
		for _, e := range passage.Passage.Entities {
			start, ok1 := bytes(e.Start)
			end, ok2 := bytes(e.End + 1)
			if !ok1 || !ok2 || start >= end {
				return fmt.Errorf("the entity at characters %d to %d is outside the text of %d characters", e.Start, e.End, utf8.RuneCountInString(text))
			}
			if name := text[start:end]; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		var items []item
		for _, q := range passage.Qas {
			i := item{path: path, line: r.line, text: text, pair: q.Query, choices: names, group: fmt.Sprintf("%v/%v", passage.Idx, q.Idx)}
			for _, a := range q.Answers {
				i.answers = append(i.answers, Answer{Text: a.Text})
			}
			switch {
			case !strings.Contains(q.Query, Placeholder):
				return fmt.Errorf("query %v has no %s: %q", q.Idx, Placeholder, q.Query)
			case len(i.answers) == 0:
				return fmt.Errorf("query %v has no answer; those of SuperGLUE's test file are not public", q.Idx)
			}
			items = append(items, i)
		}
		for _, i := range items {
			visit(i)
		}
		return nil
	})
}
