// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"metrolab/internal/spelling"
	"metrolab/internal/strictyaml"
	"metrolab/internal/usererr"
)

// Spec says what a task is and where its examples stand: a task file, or a row of the table of [Sets].
type Spec struct {
	Name    string
	Kind    string // "classification", "regression", "choice", "tagging", "spans" or "cloze"
	About   string // a phrase for people
	Licence string

	// Files, relative to the task's folder. Without a test file every HoldOut-th example, by the hash of its text, is for testing
	// and the next for validation; without a file for validation otherwise there is none.
	Train, Dev, Test string
	HoldOut          int

	// Columns, by the names that the first line or the JSON objects have, or by number from 1 where there is no header.
	NoHeader          bool
	Text, Pair, Label string
	Choices           []string
	Labels            []string // of a classification, in their order; empty for those of the training examples, sorted

	Metrics []string

	read   reader // of files that are no tables; nil for tables, or for what the kind is usually written in
	folder string // as the set is usually packed
}

// item is one example of any kind.
type item struct {
	path string // where it stands
	line int

	text, pair  string
	label       string
	group       string // examples that are scored together
	choices     []string
	words, tags []string
	answers     []Answer
}

// reader reads the examples of a file. A row that cannot be read is bad's.
type reader func(path string, s Spec, bad *badRows, visit func(item)) error

// kinds are the kinds of tasks: their usual reader and metrics, and the columns that a table of them must name.
var kinds = map[string]struct {
	read    reader
	metrics []string
	needs   func(s Spec) []string
}{
	"classification": {readTable, []string{"accuracy"}, func(s Spec) []string { return []string{s.Text, s.Label} }},
	"regression":     {readTable, []string{"pearson", "spearman"}, func(s Spec) []string { return []string{s.Text, s.Label} }},
	"choice":         {readTable, []string{"accuracy"}, func(s Spec) []string { return append([]string{s.Text, s.Label}, s.Choices...) }},
	"tagging":        {readColumns, []string{"entity_f1", "accuracy"}, func(s Spec) []string { return []string{s.Text, s.Label} }},
	"spans":          {readSQuAD, nil, func(Spec) []string { return nil }},
	"cloze":          {readReCoRD, nil, func(Spec) []string { return nil }},
}

// specKeys are the keys of a task file.
var specKeys = []string{"name", "kind", "train", "dev", "test", "hold_out", "header", "text", "pair", "label", "choices", "labels", "metrics"}

// readSpec reads a task file.
func readSpec(path string) (s Spec, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return s, usererr.New("task file: %w", err)
	}
	doc := strictyaml.Document{Path: path}
	root, err := doc.Root(raw)
	if err != nil {
		return s, err
	}
	texts := map[string]*string{"name": &s.Name, "kind": &s.Kind, "train": &s.Train, "dev": &s.Dev, "test": &s.Test, "text": &s.Text, "pair": &s.Pair, "label": &s.Label}
	lists := map[string]*[]string{"choices": &s.Choices, "labels": &s.Labels, "metrics": &s.Metrics}
	err = doc.Keys(root, specKeys, func(key string, value *yaml.Node) (err error) {
		switch {
		case texts[key] != nil:
			*texts[key], err = doc.Text(value)
		case lists[key] != nil:
			err = doc.List(value, func(n *yaml.Node) error {
				text, err := doc.Text(n)
				*lists[key] = append(*lists[key], text)
				return err
			})
		case key == "hold_out":
			var n int64
			if n, err = doc.Whole(value); err == nil && n < 3 {
				err = doc.Fault(value, "hold_out is %d; of every so many examples two are held out, so it is 3 or more", n)
			}
			s.HoldOut = int(n)
		case key == "header":
			var text string
			if text, err = doc.Text(value); err == nil && text != "true" && text != "false" {
				err = doc.Fault(value, "header is %q; it is true or false", text)
			}
			s.NoHeader = text == "false"
		}
		return err
	})
	if err != nil {
		return s, err
	}
	s.Name = cmp.Or(s.Name, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	return s, s.check(path)
}

// nameable are the names of tasks that files can be called after.
var nameable = regexp.MustCompile(`^[\pL\pN_][\pL\pM\pN ._-]{0,99}$`)

// check is the user's error for a task file that does not say enough, or says what nothing reads.
func (s Spec) check(path string) error {
	kind, ok := kinds[s.Kind]
	if !ok {
		names := slices.Sorted(maps.Keys(kinds))
		return usererr.New("%s: kind is %q; did you mean %q? It is one of %s", path, s.Kind, spelling.Nearest(s.Kind, names), strings.Join(names, ", "))
	}
	if !nameable.MatchString(s.Name) {
		return usererr.New("%s: name is %.60q; results are kept in files of that name, so that it is of letters, digits, spaces and . - _, 100 at most", path, s.Name)
	}
	if s.Train == "" {
		return usererr.New("%s: train is missing; it names the file of the training examples", path)
	}
	if s.Kind == "tagging" && (s.Text == "" || s.Label == "") {
		return usererr.New("%s: text and label are missing; of a file in CoNLL columns they are the numbers of the columns of words and of tags, from 1", path)
	}
	if slices.Contains(kind.needs(s), "") || s.Kind == "choice" && len(s.Choices) < 2 {
		return usererr.New("%s: a task of the kind %s names its columns: text, label and, of a choice, two choices or more", path, s.Kind)
	}
	if twice := repeated(s.columns()); twice != "" {
		return usererr.New("%s: the column %s is named for two things; a model would see the answer, or the same text twice", path, twice)
	}
	if label := repeated(s.Labels); label != "" {
		return usererr.New("%s: the label %q stands in labels twice", path, label)
	}
	for _, idle := range []struct {
		is   bool
		what string
	}{
		{s.Labels != nil && s.Kind != "classification", "labels"}, {s.Choices != nil && s.Kind != "choice", "choices"},
		{s.Pair != "" && s.Kind != "classification" && s.Kind != "regression", "pair"}, {s.HoldOut > 0 && s.Test != "", "hold_out beside test"},
		{(s.Kind == "spans" || s.Kind == "cloze") && (s.Text != "" || s.Label != "" || s.Metrics != nil), "text, label or metrics"},
	} {
		if idle.is {
			return usererr.New("%s: a task of the kind %s does not look at %s; leave it out", path, s.Kind, idle.what)
		}
	}
	return nil
}

// columns are those of a table that every row must have.
func (s Spec) columns() (columns []string) {
	for _, column := range append([]string{s.Text, s.Pair, s.Label}, s.Choices...) {
		if column != "" {
			columns = append(columns, column)
		}
	}
	return columns
}

// repeated is the first that stands in a list twice; "" if none does.
func repeated(list []string) string {
	for i, text := range list {
		if slices.Contains(list[:i], text) {
			return text
		}
	}
	return ""
}

// ReadOptions say how the files of a task are read.
type ReadOptions struct {
	Data        string // the folder of a named set's files, or the folder that holds the set's
	SkipBadRows bool   // pass over rows that cannot be read, and count them; else they are refused
}

// Read reads a task: one of [Sets] by its name, the task file NAME.yaml, or labelled texts as [ReadTask] takes them.
func Read(name string, o ReadOptions) (Task, error) {
	if ext := filepath.Ext(name); ext == ".yaml" || ext == ".yml" {
		s, err := readSpec(name)
		if err != nil {
			return nil, err
		}
		return s.load(filepath.Dir(name), name, o)
	}
	for _, s := range Sets() {
		if s.Name != name {
			continue
		}
		if o.Data == "" {
			return nil, usererr.New("the task %s is read from files of yours: name their folder with --data", name)
		}
		dir := s.dir(o.Data)
		return s.load(dir, dir, o)
	}
	if _, err := os.Stat(name); err == nil || strings.ContainsAny(name, "./") {
		return ReadTask(name)
	}
	return nil, usererr.New("there is no task %q; did you mean %q? \"metro tasks\" lists those that have names, and a task file ends in .yaml",
		name, spelling.Nearest(name, setNames()))
}

// dir is the folder of a set's files: data itself, or one of the set's name in it.
func (s Spec) dir(data string) string {
	for _, folder := range []string{s.folder, s.Name} {
		if info, err := os.Stat(filepath.Join(data, folder)); folder != "" && err == nil && info.IsDir() {
			return filepath.Join(data, folder)
		}
	}
	return data
}

// load reads the files of a task in a folder; source is what its messages call it.
func (s Spec) load(dir, source string, o ReadOptions) (Task, error) {
	bad := &badRows{skip: o.SkipBadRows}
	var train, dev, test []item
	for _, part := range []struct {
		file  string
		items *[]item
	}{{s.Train, &train}, {s.Dev, &dev}, {s.Test, &test}} {
		if part.file == "" {
			continue
		}
		read := s.read
		if read == nil {
			read = kinds[s.Kind].read
		}
		files := filesIn(dir, part.file)
		for _, file := range files {
			if err := read(file, s, bad, func(i item) { *part.items = append(*part.items, i) }); err != nil {
				return nil, err
			}
		}
		if len(*part.items) == 0 {
			return nil, cmp.Or(bad.err(), usererr.New("%s: there are no examples in it", strings.Join(files, ", ")))
		}
	}
	if s.Test == "" {
		s.HoldOut = cmp.Or(s.HoldOut, usualHoldOut)
		train, dev, test = s.holdOut(train, dev)
	}
	if s.Metrics == nil {
		s.Metrics = kinds[s.Kind].metrics
	}
	bad.remark(seenBefore(train, test))
	t, err := s.make(source, train, dev, test, bad)
	if err := errors.Join(bad.err(), err); err != nil {
		return nil, err
	}
	if len(test) == 0 {
		return nil, usererr.New("%s: of %d examples none is held out for testing, which is one in %d by the hashes of their texts; give more, a smaller hold_out, or a file for testing",
			source, len(train)+len(dev), s.HoldOut)
	}
	return t, t.Check()
}

// filesIn are the paths of files that a task names: one, whose name may have spaces in it, or several with spaces between them.
func filesIn(dir, names string) (paths []string) {
	path := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	for name := range strings.FieldsSeq(names) {
		paths = append(paths, path(name))
	}
	there := func(path string) bool {
		path, _, _ = strings.Cut(path, "#") // CLINC's
		return slices.ContainsFunc(append([]string{""}, packedEnds...), func(end string) bool {
			_, err := os.Stat(path + end)
			return err == nil
		})
	}
	if there(path(names)) || !slices.ContainsFunc(paths, there) {
		return []string{path(names)}
	}
	return paths
}

// usualHoldOut is HoldOut of a spec that says none.
const usualHoldOut = 10

// holdOut divides the examples of a single file by the hashes of their texts, so that equal texts are in the same part.
func (s Spec) holdOut(all, dev []item) (train, validation, test []item) {
	n := uint64(s.HoldOut)
	for _, i := range all {
		sum := sha256.Sum256([]byte(cmp.Or(i.text, strings.Join(i.words, " "))))
		switch bucket := binary.BigEndian.Uint64(sum[:]) % n; {
		case bucket == n-1:
			test = append(test, i)
		case bucket == n-2 && dev == nil:
			validation = append(validation, i)
		default:
			train = append(train, i)
		}
	}
	return train, append(validation, dev...), test
}

// seenBefore says how many examples for testing are among those for training, of whose answers a model learns by heart; "" if none is.
func seenBefore(train, test []item) string {
	asks := func(i item) string {
		return strings.Join(slices.Concat([]string{i.text, i.pair}, i.choices, i.words), "\x00")
	}
	asked := make(map[string]int, len(test)) // and not those for training, which may be a hundred times as many
	for _, i := range test {
		asked[asks(i)]++
	}
	n := 0
	for _, i := range train {
		key := asks(i)
		n += asked[key]
		delete(asked, key)
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d test texts stand among the training texts too, so that their answers can be known by heart", n, len(test))
}

// make makes the task of its examples.
func (s Spec) make(source string, train, dev, test []item, bad *badRows) (Task, error) {
	switch s.Kind {
	case "classification":
		return s.classification(source, train, dev, test, bad), nil
	case "regression":
		t := Regression{Name: s.Name, Source: source, Pairs: s.pairs(train), Metrics: s.Metrics}
		t.Train, t.Validation, t.Test = rate(train), rate(dev), rate(test)
		t.Notes = bad.notes()
		return t, nil
	case "choice":
		t := Choice{Name: s.Name, Source: source, Metrics: s.Metrics, Notes: bad.notes()}
		t.Train, t.Validation, t.Test = questions(train), questions(dev), questions(test)
		if len(train) > 0 {
			t.Choices = len(train[0].choices)
		}
		return t, nil
	case "tagging":
		t := Tagging{Name: s.Name, Source: source, Metrics: s.Metrics, Notes: bad.notes()}
		t.Train, t.Validation, t.Test = sentences(train), sentences(dev), sentences(test)
		tags := map[string]bool{}
		for _, sentence := range t.Train {
			for _, tag := range sentence.Tags {
				tags[tag] = true
			}
		}
		t.Tags = slices.Sorted(maps.Keys(tags))
		return t, nil
	case "spans":
		t := Spans{Name: s.Name, Source: source, Notes: bad.notes()}
		t.Train, t.Validation, t.Test = asked(train), asked(dev), asked(test)
		return t, nil
	case "cloze":
		t := Cloze{Name: s.Name, Source: source, Notes: bad.notes()}
		t.Train, t.Validation, t.Test = blanks(train), blanks(dev), blanks(test)
		return t, nil
	}
	return nil, fmt.Errorf("tasks: kind %q", s.Kind)
}

// pairs reports whether examples have a second text.
func (s Spec) pairs(train []item) bool { return len(train) > 0 && train[0].pair != "" }

// classification gives each label its class. One that is not among the task's is a bad row of its text.
func (s Spec) classification(source string, train, dev, test []item, bad *badRows) Task {
	t := Classification{Name: s.Name, Source: source, Classes: s.Labels, Whole: true, Pairs: s.pairs(train), Metrics: s.Metrics}
	if t.Classes == nil {
		labels := map[string]bool{}
		for _, i := range train {
			labels[i.label] = true
		}
		t.Classes = slices.Sorted(maps.Keys(labels))
		bad.fail(oneWriting(t.Classes))
	}
	classes := map[string]int{}
	for class, label := range t.Classes {
		classes[label] = class
	}
	part := func(items []item, groups *[]string) (examples []Example) {
		for _, i := range items {
			class, ok := classes[i.label]
			if !ok {
				bad.add(i.path, i.line, fmt.Errorf("unknown label %q; the labels are %s", i.label, someOf(t.Classes)))
				continue
			}
			examples = append(examples, Example{Text: i.text, Pair: i.pair, Class: class})
			if groups != nil && i.group != "" {
				*groups = append(*groups, i.group)
			}
		}
		return examples
	}
	t.Train, t.Validation, t.Test = part(train, nil), part(dev, nil), part(test, &t.Groups)
	t.Notes = bad.notes()
	return t
}

// someOf lists the first of many names.
func someOf(names []string) string {
	if len(names) > mostShown {
		return strings.Join(names[:mostShown], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

func rate(items []item) (rated []Rated) {
	for _, i := range items {
		value, _ := strconv.ParseFloat(i.label, 64) // readTable has looked
		rated = append(rated, Rated{i.text, i.pair, value})
	}
	return rated
}

func questions(items []item) (list []Question) {
	for _, i := range items {
		right, _ := strconv.Atoi(i.label)
		list = append(list, Question{i.text, i.choices, right})
	}
	return list
}

func sentences(items []item) (list []Sentence) {
	for _, i := range items {
		list = append(list, Sentence{i.words, i.tags})
	}
	return list
}

func asked(items []item) (list []Asked) {
	for _, i := range items {
		list = append(list, Asked{ID: i.group, Question: i.pair, Context: i.text, Answers: i.answers})
	}
	return list
}

func blanks(items []item) (list []Blank) {
	for _, i := range items {
		b := Blank{ID: i.group, Text: i.text, Statement: i.pair, Candidates: i.choices}
		for _, a := range i.answers {
			b.Answers = append(b.Answers, a.Text)
		}
		list = append(list, b)
	}
	return list
}
