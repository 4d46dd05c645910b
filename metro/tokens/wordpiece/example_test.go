// SPDX-License-Identifier: Apache-2.0

package wordpiece_test

import (
	"fmt"
	"slices"

	"metrolab/metro/tokens/wordpiece"
)

func Example() {
	texts := slices.Values([]string{
		"The generator writes plausible words into a text.",
		"The main model finds the words that the generator wrote.",
		"Then the main model writes the right words back.",
	})
	tok, err := wordpiece.Train(texts, wordpiece.Options{VocabSize: 64, Lowercase: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	text := "The writer wrote [MASK] words."
	enc := tok.Encode(text)
	for i, id := range enc.IDs {
		fmt.Printf("%d %s %q\n", id, tok.Token(id), text[enc.Bytes[i].Start:enc.Bytes[i].End])
	}
	fmt.Println(tok.Decode(enc.IDs))
	// Output:
	// 2 [CLS] ""
	// 45 the "The"
	// 61 write "write"
	// 39 ##r "r"
	// 48 wr "wr"
	// 38 ##o "o"
	// 52 ##te "te"
	// 4 [MASK] "[MASK]"
	// 53 words "words"
	// 5 . "."
	// 3 [SEP] ""
	// the writer wrote words.
}
