// SPDX-License-Identifier: Apache-2.0

// Package tasks asks what a pretrained main model is good for: [Finetune] trains it, all weights, on a task, and scores it
// beside what knows nothing of pretraining: the most frequent answer, and a classifier of words. With [Options.FromScratch] the
// same model starts from random weights instead, so that what pretraining was worth can be read off; [Few] leaves few of the
// training examples, so that it can be read off where labels are dear.
//
// A [Task] is examples in two parts or three and a question about them: [Classification] and [Regression] of texts or pairs of
// texts, [Choice] between continuations, [Tagging] of words, [Spans] of a text that answer a question,
// [Cloze], the name of a text that is missing in a statement. [Read] makes one of a named
// set ([Sets]) in the form in which it is published, or of a task file; [ReadTask] of the user's own labelled texts; [Families] of
// the default corpus, which of eight families of Go packages a paragraph is from.
//
// A text's way: text → tokens → one row, [CLS] text [SEP] or [CLS] text [SEP] second text [SEP] → main model states → their mean
// over the real tokens, or each of them → one linear map → outputs. The texts of [Families] and [ReadTask] may be long: they are cut
// into windows of [CLS] and S−1 tokens, each an example of its text's class in training; a text's answer is the class with the
// highest log-probability, averaged over its windows, and their measure is the balanced accuracy, the mean over the classes of the
// part of their texts that was recognized: by guessing it is 1/classes, whatever their sizes. The measures of all others are those
// of their benchmarks.
package tasks
