// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"metrolab/internal/usererr"
)

// readTable reads JSONL, TSV or CSV.
func readTable(path string, s Spec, bad *badRows, visit func(item)) error {
	written := writings{}
	return readRecords(path, !s.NoHeader, s.columns(), bad, func(r record) error {
		i, err := s.item(r)
		if err == nil && s.Kind == "classification" {
			if err := written.add(i.label, r.kind(s.Label), r.line); err != nil {
				bad.fail(usererr.New("%s: %w", path, err))
			}
		}
		if err == nil {
			i.path, i.line = path, r.line
			visit(i)
		}
		return err
	})
}

// item reads one row of a table.
func (s Spec) item(r record) (i item, err error) {
	if i.text, err = r.text(s.Text); err != nil {
		return i, err
	}
	if s.Pair != "" {
		if i.pair, err = r.text(s.Pair); err != nil {
			return i, err
		}
	}
	if i.label, err = r.label(s.Label); err != nil {
		return i, err
	}
	for _, column := range s.Choices {
		choice, err := r.text(column)
		if err != nil {
			return i, err
		}
		i.choices = append(i.choices, choice)
	}
	switch s.Kind {
	case "regression":
		if x, err := strconv.ParseFloat(i.label, 64); err != nil || x-x != 0 {
			return i, fmt.Errorf("%q is not a finite number", i.label)
		}
	case "choice":
		return i, s.rightChoice(&i)
	}
	return i, nil
}

// rightChoice makes the number of the right choice, from 0, of what stands there: that number, or the name of its column.
func (s Spec) rightChoice(i *item) error {
	if n := slices.Index(s.Choices, i.label); n >= 0 {
		i.label = strconv.Itoa(n)
	}
	if n, err := strconv.Atoi(i.label); err != nil || n < 0 || n >= len(i.choices) {
		return fmt.Errorf("%q is none of the choices; it is a number from 0 to %d or the name of a column, one of %s", i.label, len(i.choices)-1, strings.Join(s.Choices, ", "))
	}
	return nil
}

// readColumns reads CoNLL columns: a line a word, an empty line after each sentence; columns are parted by tabs if there are any,
// else by white space. Comments (#), -DOCSTART- lines, and the ranges and empty nodes of CoNLL-U (1-2, 1.1) are no words.
func readColumns(path string, s Spec, bad *badRows, visit func(item)) error {
	word, err1 := strconv.Atoi(s.Text)
	tag, err2 := strconv.Atoi(s.Label)
	if err1 != nil || err2 != nil || word < 1 || tag < 1 {
		return usererr.New("%s: of CoNLL columns, text and label are numbers of columns from 1, not %q and %q", path, s.Text, s.Label)
	}
	file, err := open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var i item
	end := func() {
		if len(i.words) > 0 {
			visit(i)
		}
		i = item{path: path}
	}
	lines := newLines(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		fields := strings.Fields(line)
		universal := strings.Contains(line, "\t")
		if universal {
			fields = strings.Split(line, "\t")
		}
		switch {
		case strings.TrimSpace(line) == "":
			end()
			continue
		case strings.HasPrefix(line, "#") && !universal || strings.HasPrefix(line, "# ") || fields[0] == "-DOCSTART-":
			continue
		case universal && len(fields) == 10 && strings.ContainsAny(fields[0], "-."):
			continue
		}
		bad.rows++
		if err := areUTF8(fields); err != nil {
			bad.add(path, n, err)
			continue
		}
		if len(fields) < max(word, tag) || fields[word-1] == "" || fields[tag-1] == "" {
			bad.add(path, n, fmt.Errorf("%d columns; the word is in column %d and its tag in %d", len(fields), word, tag))
			continue
		}
		if i.words == nil {
			i.line = n
		}
		i.words, i.tags = append(i.words, fields[word-1]), append(i.tags, fields[tag-1])
	}
	end()
	if err := lines.Err(); err != nil {
		return usererr.New("%s: %w", path, err)
	}
	return nil
}

// readJSON reads a file that is one JSON value.
func readJSON(path string, v any) error {
	file, err := open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	raw, err := io.ReadAll(file)
	if err != nil {
		return usererr.New("%s: %w", path, err)
	}
	if !utf8.Valid(raw) {
		return usererr.New("%s: %w", path, errNotUTF8)
	}
	err = json.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), v)
	if shape, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return usererr.New("%s: byte %d: a JSON %s stands where the format has none%s", path, shape.Offset, shape.Value, fieldOf(shape))
	}
	if err != nil {
		return usererr.New("%s: %w", path, err)
	}
	return nil
}

// fieldOf names the field that holds a value of the wrong shape.
func fieldOf(e *json.UnmarshalTypeError) string {
	if e.Field == "" {
		return ""
	}
	return ", in the field " + e.Field
}

// readPolarity reads a file of one text a line, all of the class that its name says: names has them by a part of the name. A
// line may be <Tag>text</Tag>.
func readPolarity(names map[string]string) reader {
	return func(path string, _ Spec, bad *badRows, visit func(item)) error {
		label := ""
		for part, name := range names {
			if strings.Contains(path[strings.LastIndexByte(path, '/')+1:], part) {
				label = name
			}
		}
		file, err := open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		lines := newLines(file)
		for n := 1; lines.Scan(); n++ {
			bad.rows++
			text := strings.ToValidUTF8(lines.Text(), "\ufffd") // Latin-1 in the original
			if _, rest, ok := strings.Cut(text, ">"); ok && strings.HasPrefix(text, "<") {
				text, _, _ = strings.Cut(rest, "</")
			}
			if text = strings.TrimSpace(text); text == "" {
				bad.add(path, n, errors.New("there is no text"))
				continue
			}
			visit(item{path: path, line: n, text: text, label: label})
		}
		return lines.Err()
	}
}

// readCLINC reads the parts of CLINC150 that are named like "data_full.json#train": lists of [text, intent].
func readCLINC(path string, _ Spec, bad *badRows, visit func(item)) error {
	path, part, _ := strings.Cut(path, "#")
	var parts map[string][][2]string
	if err := readJSON(path, &parts); err != nil {
		return err
	}
	for n, row := range parts[part] {
		bad.rows++
		if row[0] == "" || row[1] == "" {
			bad.add(path, n+1, fmt.Errorf("an empty text or intent in %s", part))
			continue
		}
		visit(item{path: path, line: n + 1, text: row[0], label: row[1]})
	}
	return nil
}

// copaQuestions say what is asked of COPA's premises.
var copaQuestions = map[string]string{"cause": "What was the cause of this?", "effect": "What happened as a result?"}

// readCOPA reads COPA's XML.
func readCOPA(path string, _ Spec, bad *badRows, visit func(item)) error {
	file, err := open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var corpus struct {
		Items []struct {
			ID      string `xml:"id,attr"`
			AsksFor string `xml:"asks-for,attr"`
			Right   string `xml:"most-plausible-alternative,attr"`
			Premise string `xml:"p"`
			First   string `xml:"a1"`
			Second  string `xml:"a2"`
		} `xml:"item"`
	}
	if err := xml.NewDecoder(file).Decode(&corpus); err != nil && !errors.Is(err, io.EOF) {
		return usererr.New("%s: %w", path, err)
	}
	for n, i := range corpus.Items {
		bad.rows++
		question, ok := copaQuestions[i.AsksFor]
		right := map[string]string{"1": "0", "2": "1"}[i.Right]
		if !ok || right == "" || i.Premise == "" || i.First == "" || i.Second == "" {
			bad.add(path, n+1, fmt.Errorf("item %s lacks a premise, two alternatives, asks-for cause or effect, or most-plausible-alternative 1 or 2", i.ID))
			continue
		}
		visit(item{path: path, line: n + 1, text: i.Premise + " " + question, choices: []string{i.First, i.Second}, label: right})
	}
	return nil
}

// readWith reads JSON lines whose texts are made of several fields.
func readWith(make func(r record) (item, error)) reader {
	return func(path string, _ Spec, bad *badRows, visit func(item)) error {
		return readRecords(path, true, nil, bad, func(r record) error {
			i, err := make(r)
			if err == nil {
				i.path, i.line = path, r.line
				visit(i)
			}
			return err
		})
	}
}

// fields reads texts and, last, a label.
func (r record) read(texts ...string) (values []string, err error) {
	for k, column := range texts {
		get := r.text
		if k == len(texts)-1 {
			get = r.label
		}
		value, err := get(column)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// superCOPA is a row of COPA as SuperGLUE has it.
func superCOPA(r record) (item, error) {
	v, err := r.read("premise", "choice1", "choice2", "question", "label")
	if err != nil {
		return item{}, err
	}
	question, ok := copaQuestions[v[3]]
	if !ok || v[4] != "0" && v[4] != "1" {
		return item{}, fmt.Errorf("question %q and label %q; they are cause or effect, and 0 or 1", v[3], v[4])
	}
	return item{text: v[0] + " " + question, choices: v[1:3], label: v[4]}, nil
}

// wic is a row of WiC: is the word meant alike in both sentences?
func wic(r record) (item, error) {
	v, err := r.read("word", "sentence1", "sentence2", "label")
	if err != nil {
		return item{}, err
	}
	return item{text: v[0] + ": " + v[1], pair: v[2], label: v[3]}, nil
}

// wsc is a row of WSC, whose spans are under prefix: does the second span, a pronoun, mean the first?
func wsc(prefix string) func(record) (item, error) {
	return func(r record) (item, error) {
		v, err := r.read("text", prefix+"span1_text", prefix+"span2_text", "label")
		if err != nil {
			return item{}, err
		}
		return item{text: v[0], pair: v[2] + " is " + v[1], label: v[3]}, nil
	}
}

// readMultiRC reads MultiRC: passages with questions with answers, each right or wrong. The answers of a question are a group.
func readMultiRC(path string, _ Spec, bad *badRows, visit func(item)) error {
	type row struct {
		Idx     int
		Passage struct {
			Text      string
			Questions []struct {
				Idx      int
				Question string
				Answers  []struct {
					Text  string
					Label *int
				}
			}
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
		if passage.Passage.Text == "" {
			return errors.New(`there is no "passage" with a "text"`)
		}
		for _, q := range passage.Passage.Questions {
			for _, a := range q.Answers {
				if a.Label == nil {
					return fmt.Errorf("an answer to question %d has no label", q.Idx)
				}
				visit(item{
					path: path, line: r.line, text: passage.Passage.Text, pair: q.Question + " " + a.Text, label: strconv.Itoa(*a.Label),
					group: fmt.Sprintf("%d/%d", passage.Idx, q.Idx),
				})
			}
		}
		return nil
	})
}

// readSTS reads the scored pairs of SemEval's STS: score, sentence, sentence. Most lines have no score, which is no fault.
func readSTS(path string, _ Spec, bad *badRows, visit func(item)) error {
	return readRecords(path, false, nil, bad, func(r record) error {
		score, _ := r.fields["1"].(string)
		first, _ := r.fields["2"].(string)
		second, _ := r.fields["3"].(string)
		if score == "" {
			bad.rows--
			return nil
		}
		if x, err := strconv.ParseFloat(score, 64); err != nil || x < 0 || x > 5 || first == "" || second == "" {
			return fmt.Errorf("%q and two sentences; the score is a number from 0 to 5", score)
		}
		visit(item{path: path, line: r.line, text: first, pair: second, label: score})
		return nil
	})
}

// readRestaurant reads Restaurant8k: what is said, and the spans of slots in it, as words with the tags B-SLOT, I-SLOT and O.
func readRestaurant(path string, _ Spec, bad *badRows, visit func(item)) error {
	var rows []struct {
		Input  struct{ Text string } `json:"userInput"`
		Labels []struct {
			Slot string
			Span struct{ StartIndex, EndIndex int } `json:"valueSpan"`
		}
	}
	if err := readJSON(path, &rows); err != nil {
		return err
	}
	for n, row := range rows {
		bad.rows++
		i := item{path: path, line: n + 1}
		spans := wordSpans(row.Input.Text)
		bytes := byteOf(row.Input.Text + " ")
		for _, s := range spans {
			i.words, i.tags = append(i.words, row.Input.Text[s.Start:s.End]), append(i.tags, "O")
		}
		var err error
		for _, l := range row.Labels {
			start, ok1 := bytes(l.Span.StartIndex)
			end, ok2 := bytes(l.Span.EndIndex)
			if !ok1 || !ok2 || start >= end {
				err = fmt.Errorf("the span %d to %d of %q is outside the text of %d characters", l.Span.StartIndex, l.Span.EndIndex, l.Slot, utf8.RuneCountInString(row.Input.Text))
				break
			}
			prefix := "B-"
			for k, s := range spans {
				if s.Start < end && s.End > start {
					i.tags[k] = prefix + l.Slot
					prefix = "I-"
				}
			}
		}
		switch {
		case err != nil:
			bad.add(path, n+1, err)
		case len(i.words) == 0:
			bad.add(path, n+1, errors.New("there is no text"))
		default:
			visit(i)
		}
	}
	return nil
}
