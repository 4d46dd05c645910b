// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"unicode"
	"unicode/utf8"

	"metrolab/metro/tokens"
)

// Sets lists the tasks that have names: where their files are had is the user's; how they are read, and what is measured, stands
// here. Of GLUE and SuperGLUE the labels of the test files are not public, so that the development files are the test.
func Sets() []Spec {
	two := []string{"0", "1"}
	truth := []string{"false", "true"}
	glue := func(name, folder, about, text, pair, label string, labels, metrics []string) Spec {
		return Spec{
			Name: "glue-" + name, folder: folder, Kind: "classification", About: about, Train: "train.tsv", Test: "dev.tsv",
			Text: text, Pair: pair, Label: label, Labels: labels, Metrics: metrics,
		}
	}
	super := func(name, folder, kind, about string, labels, metrics []string, read reader) Spec {
		return Spec{
			Name: "superglue-" + name, folder: folder, Kind: kind, About: about, Train: "train.jsonl", Test: "val.jsonl",
			Label: "label", Labels: labels, Metrics: metrics, read: read,
		}
	}
	mnli := []string{"entailment", "neutral", "contradiction"}
	entailment := []string{"entailment", "not_entailment"}
	cola := glue("cola", "CoLA", "is the sentence acceptable?", "4", "", "2", two, []string{"matthews", "accuracy"})
	cola.NoHeader = true // of training and development; the test file has one
	stsb := glue("stsb", "STS-B", "how similar are two sentences?", "sentence1", "sentence2", "score", nil, []string{"pearson", "spearman"})
	stsb.Kind = "regression"
	matched := glue("mnli", "MNLI", "does the first sentence entail the second? matched", "sentence1", "sentence2", "gold_label", mnli, nil)
	matched.Test = "dev_matched.tsv"
	mismatched := matched
	mismatched.Name, mismatched.Test, mismatched.About = "glue-mnli-mm", "dev_mismatched.tsv", "the same, mismatched"
	boolq := super("boolq", "BoolQ", "classification", "yes or no: a question and a passage", truth, nil, nil)
	boolq.Text, boolq.Pair = "passage", "question"
	cb := super("cb", "CB", "classification", "entailment of embedded clauses", []string{"entailment", "contradiction", "neutral"}, []string{"accuracy", "macro_f1"}, nil)
	cb.Text, cb.Pair = "premise", "hypothesis"
	rte := super("rte", "RTE", "classification", "does the premise entail the hypothesis?", entailment, nil, nil)
	rte.Text, rte.Pair = "premise", "hypothesis"
	return []Spec{
		{
			Name: "rotten-tomatoes", Kind: "classification", About: "sentiment of a sentence of a film review", Licence: "CC BY 4.0",
			Train: "rt-polarity.neg rt-polarity.pos", Labels: []string{"negative", "positive"},
			read: readPolarity(map[string]string{".neg": "negative", ".pos": "positive"}),
		},
		{
			Name: "pros-cons", Kind: "classification", About: "polarity of a phrase of a product review", Licence: "CC BY 4.0",
			Train: "IntegratedCons.txt IntegratedPros.txt", Labels: []string{"con", "pro"},
			read: readPolarity(map[string]string{"Cons": "con", "Pros": "pro"}),
		},
		{
			Name: "mnli", Kind: "classification", About: "does the first sentence entail the second? BabyLM's 10,000", Licence: "OANC and others",
			Train: "mnli.train.jsonl", Test: "mnli.valid.jsonl", Text: "premise", Pair: "hypothesis", Label: "label", Labels: []string{"0", "1", "2"},
		},
		{
			Name: "clinc150", Kind: "classification", About: "which of 150 intents", Licence: "CC BY 3.0",
			Train: "data_full.json#train", Dev: "data_full.json#val", Test: "data_full.json#test", Metrics: []string{"accuracy", "macro_f1"}, read: readCLINC,
		},
		{
			Name: "sts-stackexchange", Kind: "regression", About: "how similar are two texts, 0 to 5?", Licence: "CC BY-SA 3.0, CC BY 4.0", HoldOut: 5,
			Train: "2015.answers-forums.tsv 2016.answer-answer.tsv 2016.postediting.tsv 2016.question-question.tsv", Pair: "3", read: readSTS,
		},
		{
			Name: "boolq", Kind: "classification", About: "yes or no: half of BoolQ's development set", Licence: "CC BY-SA 3.0", HoldOut: 5,
			Train: "boolq.valid.jsonl", Text: "passage", Pair: "question", Label: "label", Labels: two,
		},
		{
			Name: "wsc", Kind: "classification", About: "what does the pronoun mean?", Licence: "CC BY 4.0",
			Train: "wsc.train.jsonl", Test: "wsc.valid.jsonl", Labels: two, read: readWith(wsc("")),
		},
		{
			Name: "copa", Kind: "choice", About: "which is the cause, or the effect?", Licence: "BSD 2-clause",
			Train: "copa-dev.xml", Test: "copa-test.xml", read: readCOPA,
		},
		{
			Name: "xquad-en", Kind: "spans", About: "questions on Wikipedia, as SQuAD 1.1", Licence: "CC BY-SA 4.0", HoldOut: 5,
			Train: "xquad.en.json",
		},
		{
			Name: "restaurant8k", Kind: "tagging", About: "the values of slots in what is said", Licence: "CC BY 4.0",
			Train: "train_0.json", Test: "test.json", read: readRestaurant,
		},
		{
			Name: "ud-ewt", Kind: "tagging", About: "parts of speech; trained on the development set", Licence: "CC BY-SA 4.0",
			Train: "en_ewt-ud-dev.conllu", Test: "en_ewt-ud-test.conllu", Text: "2", Label: "4", Metrics: []string{"accuracy"},
		},

		cola,
		glue("sst2", "SST-2", "sentiment of a sentence", "sentence", "", "label", two, nil),
		glue("mrpc", "MRPC", "do two sentences say the same?", "#1 String", "#2 String", "Quality", two, []string{"f1", "accuracy"}),
		stsb,
		glue("qqp", "QQP", "are two questions the same?", "question1", "question2", "is_duplicate", two, []string{"f1", "accuracy"}),
		matched, mismatched,
		glue("qnli", "QNLI", "does the sentence answer the question?", "question", "sentence", "label", entailment, nil),
		glue("rte", "RTE", "does the first sentence entail the second?", "sentence1", "sentence2", "label", entailment, nil),
		glue("wnli", "WNLI", "does the second sentence follow?", "sentence1", "sentence2", "label", two, nil),

		boolq, cb,
		super("copa", "COPA", "choice", "which is the cause, or the effect?", nil, nil, readWith(superCOPA)),
		super("multirc", "MultiRC", "classification", "is the answer to a question on a passage right?", two, []string{"f1", groupExact, "accuracy"}, readMultiRC),
		super("record", "ReCoRD", "cloze", "which of a text's names is missing in a statement?", nil, nil, readReCoRD),
		rte,
		super("wic", "WiC", "classification", "is the word meant alike in both sentences?", truth, nil, readWith(wic)),
		super("wsc", "WSC", "classification", "does the pronoun mean the name?", truth, nil, readWith(wsc("target."))),
		{Name: "squad1", folder: "squad", Kind: "spans", About: "SQuAD 1.1", Train: "train-v1.1.json", Test: "dev-v1.1.json"},
		{Name: "squad2", folder: "squad2", Kind: "spans", About: "SQuAD 2.0, with questions that have no answer", Train: "train-v2.0.json", Test: "dev-v2.0.json"},
	}
}

func setNames() (names []string) {
	for _, s := range Sets() {
		names = append(names, s.Name)
	}
	return names
}

// wordSpans are the words of a text: runs of letters and numbers, and every other character that is no space by itself.
func wordSpans(text string) (spans []tokens.Span) {
	inside := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) }
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		end := i + n
		for inside(r) && end < len(text) {
			next, n := utf8.DecodeRuneInString(text[end:])
			if !inside(next) {
				break
			}
			end += n
		}
		if !unicode.IsSpace(r) {
			spans = append(spans, tokens.Span{Start: i, End: end})
		}
		i = end
	}
	return spans
}
