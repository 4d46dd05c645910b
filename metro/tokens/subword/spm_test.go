// SPDX-License-Identifier: Apache-2.0

package subword

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"

	"metrolab/metro/tokens"
)

// A folder with nothing but a SentencePiece model gives the ids that sentencepiece 0.2.3 gives, of every text without symbols;
// where characters are mapped, without characters made of several, which Hugging Face's tokenizers maps by another rule.
func TestSPM(t *testing.T) {
	for name, m := range models(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, spmName), m.Model, 0o666))
			tok, err := tokens.LoadFolder(dir)
			require.NoError(t, err)
			compared := 0
			for _, l := range m.Lines {
				if strings.ContainsAny(l.Text, "<▁") || name == "unigram" && uniseg.GraphemeClusterCount(l.Text) < utf8.RuneCountInString(l.Text) {
					continue
				}
				require.Equal(t, l.IDs, tok.EncodeIDs([]int32{}, l.Text), "%q", l.Text)
				compared++
			}
			require.Greater(t, compared, 10)
		})
	}
}
