// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"metrolab/metro/data"
	"metrolab/metro/tokens"
)

// maxWindows is how many windows of a text are read; what is beyond is passed over. At 32 positions a window that is
// about 500 tokens, more than all but a paragraph in a thousand of the default corpus has.
const maxWindows = 16

// newWindows cuts the texts of examples into windows of [CLS] and the next seqLen−1 tokens, as rows of pretraining are.
func newWindows(tokenizer tokens.Tokenizer, seqLen int, examples []Example) []data.Window {
	cut := data.Windows{SeqLen: seqLen, Special: tokenizer.Special(), Limit: maxWindows}
	var windows []data.Window
	var ids []int32
	for i, e := range examples {
		ids = tokenizer.EncodeIDs(ids[:0], e.Text)
		windows = append(windows, cut.Cut(i, ids)...)
	}
	return windows
}

// windowClasses returns the class of each window: that of its text.
func windowClasses(windows []data.Window, examples []Example) []int {
	classes := make([]int, len(windows))
	for i, w := range windows {
		classes[i] = examples[w.Text].Class
	}
	return classes
}
