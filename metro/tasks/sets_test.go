// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/testdata"
	"metrolab/internal/usererr"
)

// folderOf writes files, "name\ncontent" each.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

// tab writes tables with | for the tabs.
func tab(rows ...string) string { return strings.ReplaceAll(strings.Join(rows, "\n")+"\n", "|", "\t") }

const (
	mnliTrain = "index|promptID|pairID|genre|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|sentence2_parse|sentence1|sentence2|label1|gold_label"
	mnliDev   = "index|promptID|pairID|genre|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|sentence2_parse|sentence1|sentence2|label1|label2|label3|label4|label5|gold_label"
)

// benchmarks are by hand what the files of GLUE and SuperGLUE look like, with what is odd in each.
var benchmarks = map[string]string{
	// No header in training and development; the second column is the label, the third an asterisk or nothing.
	"CoLA/train.tsv":  tab("gj04|1||Our friends won't buy this.", "gj04|0|*|They drank the pub."),
	"CoLA/dev.tsv":    tab("gj04|1||The sailors rode the breeze."),
	"SST-2/train.tsv": tab("sentence|label", "hide new secretions |0", "\"open quotes |1"), // quotes are characters
	"SST-2/dev.tsv":   tab("sentence|label", "a charming journey |1"),
	// A byte order mark, CRLF, and quotes that do not close.
	"MRPC/train.tsv":  "\ufeff" + strings.ReplaceAll(tab("Quality|#1 ID|#2 ID|#1 String|#2 String", "1|7|8|\"He said so.|He said: \"\"so\"\".", "0|9|10|No.|Yes."), "\n", "\r\n"),
	"MRPC/dev.tsv":    tab("Quality|#1 ID|#2 ID|#1 String|#2 String", "1|1|2|One.|One!"),
	"STS-B/train.tsv": tab("index|genre|filename|year|old_index|source1|source2|sentence1|sentence2|score", "0|a|b|2012|1|n|n|A plane.|An air plane.|5.000", "1|a|b|2012|1|n|n|A man.|A dog.|0.250"),
	"STS-B/dev.tsv":   tab("index|genre|filename|year|old_index|source1|source2|sentence1|sentence2|score", "0|a|b|2012|1|n|n|A hat.|A cap.|4.0", "1|a|b|2012|1|n|n|A.|B.|1.0"),
	// Some lines of the training file are cut short.
	"QQP/train.tsv":           tab("id|qid1|qid2|question1|question2|is_duplicate", "1|2|3|How?|Why?|0", "4|5|6|What is", "7|8|9|Who?|Who is it?|1"),
	"QQP/dev.tsv":             tab("id|qid1|qid2|question1|question2|is_duplicate", "1|2|3|Where?|Where is it?|1"),
	"MNLI/train.tsv":          tab(mnliTrain, "0|1|1n|tel|p|p|p|p|A man.|A person.|entailment|entailment", "1|1|1n|tel|p|p|p|p|A man.|A dog.|contradiction|contradiction", "2|1|1n|tel|p|p|p|p|A man.|He runs.|neutral|neutral"),
	"MNLI/dev_matched.tsv":    tab(mnliDev, "0|1|1n|tel|p|p|p|p|A cat.|An animal.|n|n|n|n|n|neutral"),
	"MNLI/dev_mismatched.tsv": tab(mnliDev, "0|1|1n|tel|p|p|p|p|A cow.|An animal.|e|e|e|e|e|entailment"),
	"QNLI/train.tsv":          tab("index|question|sentence|label", "0|When?|In May.|entailment", "1|When?|A cat.|not_entailment"),
	"QNLI/dev.tsv":            tab("index|question|sentence|label", "0|Who?|A cat.|entailment"),
	"RTE/train.tsv":           tab("index|sentence1|sentence2|label", "0|It rains.|It is wet.|entailment", "1|It rains.|It is dry.|not_entailment"),
	"RTE/dev.tsv":             tab("index|sentence1|sentence2|label", "0|It snows.|It is cold.|entailment"),
	"WNLI/train.tsv":          tab("index|sentence1|sentence2|label", "0|I stuck a pin.|The pin is stuck.|1", "1|I stuck a pin.|I am stuck.|0"),
	"WNLI/dev.tsv":            tab("index|sentence1|sentence2|label", "0|He came.|He came in.|1"),

	"BoolQ/train.jsonl": `{"question": "is it", "passage": "It is.", "idx": 0, "label": true}` + "\n" + `{"question": "is it not", "passage": "It is.", "idx": 1, "label": false}`,
	"BoolQ/val.jsonl":   `{"question": "was it", "passage": "It was.", "idx": 0, "label": true}`,
	"CB/train.jsonl":    `{"premise": "A: I know.", "hypothesis": "He knows.", "label": "entailment", "idx": 0}` + "\n" + `{"premise": "B", "hypothesis": "C", "label": "neutral", "idx": 1}` + "\n" + `{"premise": "B", "hypothesis": "D", "label": "contradiction", "idx": 2}`,
	"CB/val.jsonl":      `{"premise": "A", "hypothesis": "B", "label": "neutral", "idx": 0}`,
	"COPA/train.jsonl":  `{"premise": "It fell.", "choice1": "It broke.", "choice2": "It flew.", "question": "effect", "label": 0, "idx": 0}`,
	"COPA/val.jsonl":    `{"premise": "It rang.", "choice1": "He slept.", "choice2": "He called.", "question": "cause", "label": 1, "idx": 0}`,
	// Passages with questions with answers: groups.
	"MultiRC/train.jsonl": `{"idx": 0, "version": 1.1, "passage": {"text": "Sam ate an apple.", "questions": [{"question": "What?", "idx": 0, "answers": [{"text": "An apple", "idx": 0, "label": 1}, {"text": "A pear", "idx": 1, "label": 0}]}]}}`,
	"MultiRC/val.jsonl":   `{"idx": 5, "version": 1.1, "passage": {"text": "Ann sang.", "questions": [{"question": "Who?", "idx": 6, "answers": [{"text": "Ann", "idx": 0, "label": 1}, {"text": "Sam", "idx": 1, "label": 0}]}, {"question": "What?", "idx": 7, "answers": [{"text": "Sang", "idx": 2, "label": 1}]}]}}`,
	// Places of entities in characters, the last included, behind one of two bytes; an entity twice; an answer that is written
	// otherwise than the entity; several statements.
	"ReCoRD/train.jsonl": `{"source": "Daily mail", "passage": {"text": "In Köln, Ann met Bob Lee.\nBob Lee left.\n@highlight\nAnn stayed", "entities": [{"start": 3, "end": 6}, {"start": 9, "end": 11}, {"start": 17, "end": 23}, {"start": 26, "end": 32}]}, "qas": [{"query": "@placeholder went away", "answers": [{"start": 17, "end": 23, "text": "Bob Lee"}, {"start": 26, "end": 32, "text": "Bob Lee"}], "idx": 0}, {"query": "It was in @placeholder", "answers": [{"start": 3, "end": 6, "text": "the Köln."}], "idx": 1}], "idx": 0}`,
	"ReCoRD/val.jsonl":   `{"source": "CNN", "passage": {"text": "Sue saw Tom. Tom ran.", "entities": [{"start": 0, "end": 2}, {"start": 8, "end": 10}, {"start": 13, "end": 15}]}, "qas": [{"query": "@placeholder was seen, @placeholder ran", "answers": [{"text": "Tom"}], "idx": 9}], "idx": 4}`,
	"SRTE/train.jsonl":   `{"premise": "It rains.", "hypothesis": "Wet.", "label": "entailment", "idx": 0}` + "\n" + `{"premise": "It rains.", "hypothesis": "Dry.", "label": "not_entailment", "idx": 1}`,
	"SRTE/val.jsonl":     `{"premise": "It rains.", "hypothesis": "Wet.", "label": "entailment", "idx": 0}`,
	"WiC/train.jsonl":    `{"word": "place", "sentence1": "A place.", "sentence2": "To place.", "idx": 0, "label": false, "start1": 2}` + "\n" + `{"word": "cat", "sentence1": "A cat.", "sentence2": "The cat.", "idx": 1, "label": true}`,
	"WiC/val.jsonl":      `{"word": "dog", "sentence1": "A dog.", "sentence2": "The dog.", "idx": 1, "label": true}`,
	"WSC/train.jsonl":    `{"text": "Mark told Pete lies about himself.", "target": {"span1_index": 0, "span1_text": "Mark", "span2_index": 5, "span2_text": "himself"}, "idx": 0, "label": true}` + "\n" + `{"text": "Sue saw Ann and she left.", "target": {"span1_index": 0, "span1_text": "Sue", "span2_index": 4, "span2_text": "she"}, "idx": 1, "label": false}`,
	"WSC/val.jsonl":      `{"text": "He ran.", "target": {"span1_index": 0, "span1_text": "Ran", "span2_index": 0, "span2_text": "He"}, "idx": 0, "label": false}`,
}

func TestBenchmarksInTheirFormats(t *testing.T) {
	dir := folderOf(t, benchmarks)
	rte := filepath.Join(dir, "SRTE") // of the same name in both benchmarks
	read := func(name, dir string) Task {
		task, err := Read(name, ReadOptions{Data: dir, SkipBadRows: name == "glue-qqp"})
		require.NoError(t, err, name)
		return task
	}
	first := func(name string) Example { return read(name, dir).(Classification).Train[0] }
	require.Equal(t, Example{Text: "Our friends won't buy this.", Class: 1}, first("glue-cola"))
	require.Equal(t, "\"open quotes ", read("glue-sst2", dir).(Classification).Train[1].Text)
	require.Equal(t, Example{Text: `"He said so.`, Pair: `He said: ""so"".`, Class: 1}, first("glue-mrpc"))
	require.Equal(t, "f1", read("glue-mrpc", dir).About().Metric)
	require.Equal(t, Rated{"A man.", "A dog.", 0.25}, read("glue-stsb", dir).(Regression).Train[1])
	qqp := read("glue-qqp", dir).(Classification)
	require.Len(t, qqp.Train, 2)
	require.Len(t, qqp.Notes, 1)
	require.Contains(t, qqp.Notes[0], "1 of 4 rows cannot be read: "+filepath.Join(dir, "QQP", "train.tsv")+":3: 4 columns where the first line has 6; they are passed over")
	_, err := Read("glue-qqp", ReadOptions{Data: dir})
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, "--skip-bad-rows")
	require.Equal(t, Example{Text: "A cat.", Pair: "An animal.", Class: 1}, read("glue-mnli", dir).(Classification).Test[0])
	require.Equal(t, Example{Text: "A cow.", Pair: "An animal.", Class: 0}, read("glue-mnli-mm", dir).(Classification).Test[0])
	require.Equal(t, Example{Text: "When?", Pair: "In May."}, first("glue-qnli"))
	require.Equal(t, Example{Text: "It rains.", Pair: "It is wet."}, first("glue-rte"))
	require.Equal(t, Example{Text: "I stuck a pin.", Pair: "The pin is stuck.", Class: 1}, first("glue-wnli"))

	require.Equal(t, Example{Text: "It is.", Pair: "is it", Class: 1}, first("superglue-boolq"))
	require.Equal(t, Example{Text: "B", Pair: "C", Class: 2}, read("superglue-cb", dir).(Classification).Train[1])
	require.Equal(t, Question{"It rang. What was the cause of this?", []string{"He slept.", "He called."}, 1}, read("superglue-copa", dir).(Choice).Test[0])
	multi := read("superglue-multirc", dir).(Classification)
	require.Equal(t, Example{Text: "Sam ate an apple.", Pair: "What? An apple", Class: 1}, multi.Train[0])
	require.Equal(t, []string{"5/6", "5/6", "5/7"}, multi.Groups)
	require.InDelta(t, 0.5, multi.measure(multi.Test, []int{1, 1, 1}).Metrics["exact_match"], 1e-12)
	record := read("superglue-record", dir).(Cloze)
	require.Len(t, record.Train, 2)
	require.Equal(t, Blank{"0/0", "In Köln, Ann met Bob Lee.\nBob Lee left.\n@highlight\nAnn stayed", "@placeholder went away", []string{"Köln", "Ann", "Bob Lee"}, []string{"Bob Lee", "Bob Lee"}}, record.Train[0])
	require.Equal(t, []string{"the Köln."}, record.Train[1].Answers)
	require.Equal(t, "Tom was seen, Tom ran", record.Test[0].with("Tom"))
	require.Equal(t, Example{Text: "It rains.", Pair: "Dry.", Class: 1}, read("superglue-rte", rte).(Classification).Train[1])
	require.Equal(t, Example{Text: "place: A place.", Pair: "To place."}, first("superglue-wic"))
	require.Equal(t, Example{Text: "Mark told Pete lies about himself.", Pair: "himself is Mark", Class: 1}, first("superglue-wsc"))
}

// squad has an answer behind a character of two bytes, several answers, and a question without one.
const squad = `{"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": "The café of Ann is red.", "qas": [
 {"id": "q1", "question": "Whose café?", "is_impossible": false, "answers": [{"text": "Ann", "answer_start": 12}, {"text": "of Ann", "answer_start": 9}]},
 {"id": "q2", "question": "Who is blue?", "is_impossible": true, "plausible_answers": [{"text": "red", "answer_start": 19}], "answers": []}%s]}]}]}`

func TestSQuADInItsFormat(t *testing.T) {
	bad := `,{"id": "q3", "question": "What?", "answers": [{"text": "red", "answer_start": 99}]}`
	dir := folderOf(t, map[string]string{
		"train-v2.0.json": strings.Replace(squad, "%s", "", 1), "dev-v2.0.json": strings.Replace(squad, "%s", "", 1),
		"other/train-v2.0.json": strings.Replace(squad, "%s", bad, 1), "other/dev-v2.0.json": strings.Replace(squad, "%s", "", 1),
	})
	task, err := Read("squad2", ReadOptions{Data: dir})
	require.NoError(t, err)
	spans := task.(Spans)
	require.Equal(t, []Answer{{"Ann", 13}, {"of Ann", 10}}, spans.Train[0].Answers)
	require.Empty(t, spans.Train[1].Answers)
	_, err = Read("squad2", ReadOptions{Data: filepath.Join(dir, "other")})
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, `question q3: the answer "red" does not stand at character 99 of its text of 23`)
}

// All sets of the shared data are read, without a bad row but for seven, and are as large as their descriptions say.
func TestSharedSets(t *testing.T) {
	dir := testdata.Shared(t, "tasks")
	shared := map[string]string{"clinc150": "2 of 4500", "restaurant8k": "149 of 3731", "ud-ewt": "73 of 2077"} // of their publishers, short sentences
	for name, want := range map[string][3]int{                                                                  // all examples, of which test, classes
		"rotten-tomatoes": {10662, 1046, 2}, "pros-cons": {45870, 0, 2}, "mnli": {14908, 4908, 3}, "clinc150": {22500, 4500, 150},
		"sts-stackexchange": {1082, 0, 0}, "boolq": {1635, 0, 2}, "wsc": {606, 52, 2}, "copa": {1000, 500, 0},
		"xquad-en": {1190, 0, 0}, "restaurant8k": {11929, 3731, 9}, "ud-ewt": {4078, 2077, 17},
	} {
		task, err := Read(name, ReadOptions{Data: dir, SkipBadRows: name == "pros-cons"})
		require.NoError(t, err, name)
		about := task.About()
		dev := 0
		switch task := task.(type) {
		case Classification:
			dev = len(task.Validation)
		case Regression:
			dev = len(task.Validation)
		case Spans:
			dev = len(task.Validation)
		}
		require.Equal(t, want[0], about.TrainTexts+about.TestTexts+dev, name)
		require.Len(t, about.Classes, want[2], name)
		if want[1] > 0 {
			require.Equal(t, want[1], about.TestTexts, name)
		}
		if name == "pros-cons" {
			require.Contains(t, about.Notes[0], "7 of 45877 rows cannot be read", "lines without a text")
			continue
		}
		if n := shared[name]; n != "" {
			require.Equal(t, []string{n + " test texts stand among the training texts too, so that their answers can be known by heart"}, about.Notes, name)
			continue
		}
		require.Empty(t, about.Notes, name)
	}
}

// Texts that are trained on and asked about are said, and what gives an answer away or asks nothing is refused.
func TestTasksThatAskNothing(t *testing.T) {
	const form = "kind: classification\ntrain: a.jsonl\n"
	rows := `{"t": "one", "u": "x", "l": "a"}` + "\n" + `{"t": "two", "u": "y", "l": "b"}` + "\n"
	dir := folderOf(t, map[string]string{
		"a.jsonl": rows, "b.jsonl": rows[:33] + `{"t": "three", "u": "x", "l": "b"}`, "none.jsonl": "\n", "bad.jsonl": "{",
		"mixed.jsonl": rows + `{"t": "three", "u": "x", "l": 1}` + "\n" + `{"t": "four", "u": "x", "l": "1"}`,
		"half.yaml":   form + "test: b.jsonl\ntext: t\nlabel: l\n", "pair.yaml": form + "test: b.jsonl\ntext: t\npair: u\nlabel: l\n",
		"label.yaml": form + "test: b.jsonl\ntext: l\nlabel: l\n", "twice.yaml": form + "test: b.jsonl\ntext: t\npair: t\nlabel: l\n",
		"none.yaml": form + "test: none.jsonl\ntext: t\nlabel: l\n", "bad.yaml": form + "test: bad.jsonl\ntext: t\nlabel: l\n",
		"mixed.yaml": "kind: classification\ntrain: mixed.jsonl\ntest: b.jsonl\ntext: t\nlabel: l\n",
		"held.yaml":  form + "text: t\nlabel: l\nhold_out: 1000\n",
		"name.yaml":  "name: ../x\n" + form + "text: t\nlabel: l\n", "labels.yaml": form + "text: t\nlabel: l\nlabels: [a, b, a]\n", "questions.yaml": "kind: spans\ntrain: questions.json\n",
		"questions.json": `{"data": [{"paragraphs": [{"context": "a b", "qas": [{"id": "1", "question": "?", "answers": [{"text": "a", "answer_start": 0}]},
			{"id": "2", "question": "?", "answers": [{"text": "", "answer_start": 0}]}, {"id": "1", "question": "?", "answers": []}]}, {"context": "", "qas": [{"id": "3", "question": "?"}]}]}]}`,
		"semi.csv": "t;l\na;b\n", "semi.yaml": "kind: classification\ntrain: semi.csv\ntext: t\nlabel: l\n",
	})
	for _, name := range []string{"half.yaml", "pair.yaml"} {
		task, err := Read(filepath.Join(dir, name), ReadOptions{})
		require.NoError(t, err)
		require.Equal(t, []string{"1 of 2 test texts stand among the training texts too, so that their answers can be known by heart"}, task.About().Notes)
		require.Equal(t, filepath.Join(dir, name), task.About().Source)
	}
	for name, want := range map[string]string{
		"label.yaml": "the column l is named for two things", "twice.yaml": "the column t is named for two things",
		"none.yaml": "none.jsonl: there are no examples in it", "bad.yaml": "bad.jsonl:1: no JSON object",
		"held.yaml":  "held.yaml: of 2 examples none is held out for testing, which is one in 1000 by",
		"mixed.yaml": "mixed.jsonl: line 4: the label 1 is a string, and in line 3 it is a number",
		"name.yaml":  `name is "../x"; results are kept in files of that name`, "labels.yaml": `the label "a" stands in labels twice`,
		"questions.yaml": "questions.json:2: question 2: an answer is empty; ", "semi.yaml": `there is no column "t"; there are t;l; columns are parted by commas in a .csv`,
	} {
		_, err := Read(filepath.Join(dir, name), ReadOptions{})
		require.True(t, usererr.Is(err), name)
		require.ErrorContains(t, err, want, name)
	}
	_, err := Read(filepath.Join(dir, "questions.yaml"), ReadOptions{})
	require.ErrorContains(t, err, "questions.json:3: there are two questions of the id 1; ")
	require.ErrorContains(t, err, "questions.json:4: question 3: its text is empty")
}

// What is wrong with a row is said with its file and its line, and all at once.
func TestBadRows(t *testing.T) {
	good := `{"text": "a text", "label": "x"}` + "\n" + `{"text": "another", "label": "y"}` + "\n"
	for name, c := range map[string]struct{ file, content, want string }{
		"JSON":         {"t.jsonl", good + `{"text": `, "t.jsonl:3: no JSON object"},
		"a field":      {"t.jsonl", good + `{"label": "x"}`, `t.jsonl:3: there is no field "text"`},
		"empty":        {"t.jsonl", good + `{"text": " ", "label": "x"}`, `t.jsonl:3: the field "text" is empty`},
		"no label":     {"t.jsonl", good + `{"text": "a", "label": null}`, `t.jsonl:3: there is no field "label"`},
		"another":      {"t.jsonl", good + `{"text": "a", "label": ["x"]}`, `t.jsonl:3: the field "label" is no text, number or truth value`},
		"column count": {"t.tsv", "text\tlabel\na\tx\nb\ty\tz\n", "t.tsv:3: 3 columns where the first line has 2"},
		"quotes":       {"t.csv", "text,label\n\"a\nb\",x\nb\"c,y\n", "t.csv:4: bare \" in non-quoted-field"},
		"two":          {"t.tsv", "text\tlabel\na\tx\nb\nc\n", "2 of 3 rows cannot be read"},
		"label":        {"t.jsonl", good + `{"text": "a", "label": "z"}`, `t.jsonl:3: unknown label "z"; the labels are x, y`},
		"a column":     {"t.csv", "sentence,label\na,x\n", `t.csv: there is no column "text"; there are sentence, label`},
		"two columns":  {"t.csv", "text,label,label\na,x,y\n", `t.csv: there are two columns "label"`},
		"Latin-1":      {"t.csv", "text,label\na,x\ncaf\xe9,y\n", "t.csv:3: it is not UTF-8"},
		"Latin-1 tabs": {"t.tsv", "text\tlabel\na\tx\ncaf\xe9\ty\n", "t.tsv:3: it is not UTF-8"},
		"UTF-16":       {"t.csv", "\xff\xfet\x00e\x00x\x00t\x00\n", "t.csv: line 1: it is not UTF-8"},
		"an ending":    {"t.txt", "a", "rows are read from files that end in .jsonl, .tsv or .csv"},
		"no file":      {"other.tsv", "a", "t.tsv: no such file"},
	} {
		file := c.file
		if name == "no file" {
			file = "t.tsv"
		}
		dir := folderOf(t, map[string]string{c.file: c.content, "task.yaml": "kind: classification\ntrain: " + file + "\ntext: text\nlabel: label\nlabels: [x, y]\n"})
		_, err := Read(filepath.Join(dir, "task.yaml"), ReadOptions{})
		require.True(t, usererr.Is(err), name)
		require.ErrorContains(t, err, c.want, name)
	}
}

// In a table all is text, and labels that are the same number are two writings of one class, unless a task file lists both.
func TestLabelsOfATableAreWrittenInOneWay(t *testing.T) {
	const spec = "kind: classification\ntrain: t.csv\ntext: text\nlabel: label\n"
	table := "text,label\n"
	for i := range 60 {
		table += fmt.Sprintf("text %d,%s\n", i, []string{"0", "1", "1.0"}[i%3])
	}
	dir := folderOf(t, map[string]string{"t.csv": table, "plain.yaml": spec, "listed.yaml": spec + "labels: [\"0\", \"1\", \"1.0\"]\n"})
	for _, skip := range []bool{false, true} {
		_, err := Read(filepath.Join(dir, "plain.yaml"), ReadOptions{SkipBadRows: skip})
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, "the labels 1 and 1.0 are the same number")
	}
	task, err := Read(filepath.Join(dir, "listed.yaml"), ReadOptions{})
	require.NoError(t, err)
	require.Len(t, task.About().Classes, 3)
}

// The files of a task may have spaces in their names, or stand elsewhere, and need not be as their formats say.
func TestFilesOfATaskFile(t *testing.T) {
	table := "text,label\n"
	for i := range 60 {
		table += fmt.Sprintf("text %d,%d\n", i, i%2)
	}
	elsewhere := folderOf(t, map[string]string{"a b.csv": table})
	const form, squad = "kind: classification\ntext: text\nlabel: label\ntrain: ", `{"data": [{"paragraphs": [{"context": "a b", "qas": [{"id": "1", "question": "?", "answers": [{"text": "a", "answer_start": 0}]}]}]}]}`
	dir := folderOf(t, map[string]string{
		"my file.csv": table, "two.csv": table, "empty.csv": "text,label\n", "squad.json": "\ufeff" + squad, "list.json": "[]", "more.json": squad + "{}", "latin.json": "{\"data\": \"caf\xe9\"}",
		"latin.conll": "caf\xe9 B-LOC\n\nva O\n",
		"space.yaml":  form + "my file.csv\n", "both.yaml": form + "two.csv my file.csv\n", "several.yaml": form + "two.csv two.csv\n",
		"path.yaml": form + filepath.Join(elsewhere, "a b.csv") + "\n", "none.yaml": form + "no such.csv\n", "empty.yaml": form + "empty.csv\n",
		"squad.yaml": "kind: spans\ntrain: squad.json\ntest: squad.json\n", "list.yaml": "kind: spans\ntrain: list.json\n", "more.yaml": "kind: spans\ntrain: more.json\n",
		"latin.yaml": "kind: spans\ntrain: latin.json\n", "conll.yaml": "kind: tagging\ntrain: latin.conll\ntext: 1\nlabel: 2\n",
	})
	for name, want := range map[string]string{
		"space.yaml": "", "several.yaml": "", "path.yaml": "", "squad.yaml": "", "none.yaml": "no such.csv: no such file", "both.yaml": "my: rows are read from files that end in",
		"empty.yaml": "empty.csv: there are no examples in it", "list.yaml": "list.json: byte 1: a JSON array stands where the format has none", "more.yaml": "more.json: invalid character",
		"latin.yaml": "latin.json: it is not UTF-8", "conll.yaml": "latin.conll:1: it is not UTF-8",
	} {
		task, err := Read(filepath.Join(dir, name), ReadOptions{})
		if want == "" {
			require.NoError(t, err, name)
			require.Positive(t, task.About().TrainTexts, name)
			continue
		}
		require.True(t, usererr.Is(err), name)
		require.ErrorContains(t, err, want, name)
	}
}

// Six lines are a task.
func TestTaskFile(t *testing.T) {
	dir := folderOf(t, map[string]string{
		"task.yaml": "kind: classification\ntrain: train.csv\ntest: test.jsonl\ntext: premise\npair: hypothesis\nlabel: gold\n",
		"train.csv": "\ufeffpremise,hypothesis,gold\n\"a, \"\"b\"\"\",c,1\nd,e,0\n", "test.jsonl": `{"premise": "f", "hypothesis": "g", "gold": 1.0}`,
		"ner.yaml":  "kind: tagging\ntrain: ner.conll\ntest: ner.conll\ntext: 1\nlabel: 4\n",
		"ner.conll": "-DOCSTART- -X- O O\n\nEU NNP I-NP B-ORG\nrejects VBZ I-VP O\n\nHe PRP I-NP O\n",
		"typo.yaml": "kind: clasification\ntrain: a.csv\n", "key.yaml": "kind: tagging\ntrian: a\n", "idle.yaml": "kind: tagging\ntrain: a\ntext: 1\nlabel: 2\nlabels: [a]\n",
	})
	task, err := Read(filepath.Join(dir, "task.yaml"), ReadOptions{})
	require.NoError(t, err)
	c := task.(Classification)
	require.Equal(t, "task", c.Name)
	require.Equal(t, []Example{{Text: `a, "b"`, Pair: "c", Class: 1}, {Text: "d", Pair: "e"}}, c.Train)
	require.Equal(t, []Example{{Text: "f", Pair: "g", Class: 1}}, c.Test, "numbers are labels by their values")
	ner, err := Read(filepath.Join(dir, "ner.yaml"), ReadOptions{})
	require.NoError(t, err)
	require.Equal(t, []Sentence{{[]string{"EU", "rejects"}, []string{"B-ORG", "O"}}, {[]string{"He"}, []string{"O"}}}, ner.(Tagging).Train)
	for name, want := range map[string]string{
		"typo.yaml": `did you mean "classification"?`, "key.yaml": `did you mean "train"?`, "idle.yaml": "does not look at labels", "rotten": `there is no task "rotten"; did you mean "rotten-tomatoes"?`,
		"rotten-tomatoes": "name their folder with --data",
	} {
		if strings.HasSuffix(name, ".yaml") {
			name = filepath.Join(dir, name)
		}
		_, err := Read(name, ReadOptions{})
		require.True(t, usererr.Is(err), name)
		require.ErrorContains(t, err, want)
	}
}
