// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"metrolab/metro/tokens/internal/parts"
)

// What is known of every code point is what Python tokenizers 0.23.3 knows, by the digest that scripts/parity/tokenizer_files.py
// prints: its kind to GPT-2's expression, and whether it is a word character, a digit, white space, a mark, punctuation.
func TestCharacters(t *testing.T) {
	sum := sha256.New()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if 0xD800 <= r && r < 0xE000 {
			continue
		}
		line := []byte{"olns"[kindOf(r)], 'x', 'x', 'x', 'x', 'x', '\n'}
		for i, is := range []bool{parts.IsWord(r), parts.IsDigit(r), unicode.IsSpace(r), parts.IsCombining(r), parts.IsPunctuation(r)} {
			if is {
				line[i+1] = "wdsmp"[i]
			}
		}
		sum.Write(line)
	}
	require.Equal(t, "b33843bbf6bac3282a6c13806850834a184d8caae194a91daf8fb77859e8f272", hex.EncodeToString(sum.Sum(nil)))
}
