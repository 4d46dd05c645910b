// SPDX-License-Identifier: Apache-2.0

// Package tasks asks what a pretrained main model is good for: [Finetune] trains it, all weights, to tell classes of
// text apart, and scores it beside two that know nothing of pretraining, the largest class and a bag of words. With
// [Options.FromScratch] the same model starts from random weights instead, so that what pretraining was worth can be
// read off.
//
// A [Task] is labelled texts in two parts. [Families] makes one of the default corpus, which of eight families of Go
// packages a paragraph is from; [ReadTask] reads the user's own.
//
// A text's way: text → tokens → windows of [CLS] and S−1 tokens → main model states → their mean over a window's real
// tokens → one linear map → logits. In training every window is an example of its text's class; a text's answer is the
// class with the highest log-probability, averaged over its windows.
//
// The measure is the balanced accuracy, the mean over the classes of the part of their texts that was recognized: by
// guessing it is 1/classes, whatever their sizes.
package tasks
