// SPDX-License-Identifier: Apache-2.0

package text

import (
	"fmt"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestSplitFollowsFromTheTextAlone(t *testing.T) {
	// Golden: printf 'every split is a function of the text' | sha256sum begins 0752ca3f6445366f, and
	// 0x0752ca3f6445366f % 20 = 3.
	require.Equal(t, Train, splitOf(textKey("every split is a function of the text")))
	counts := map[Split]int{}
	for i := range 20000 {
		text := fmt.Sprintf("paragraph number %d of many", i)
		split := splitOf(textKey(text))
		require.Equal(t, split, splitOf(textKey(strings.ToUpper(text))))
		counts[split]++
	}
	// Five standard deviations of a binomial with n = 20,000.
	require.InDelta(t, 18000, counts[Train], 5*42.5)
	require.InDelta(t, 1000, counts[Validation], 5*30.9)
	require.InDelta(t, 1000, counts[Test], 5*30.9)
}

func TestReplaceInvalid(t *testing.T) {
	for _, c := range []struct {
		in, out string
		n       int64
	}{
		{"", "", 0},
		{"plain ünïcode", "plain ünïcode", 0},
		{"a\xff\xfeb", "a\uFFFD\uFFFDb", 2},
		{"cut \xe2\x82", "cut \uFFFD\uFFFD", 2},
		{"a real \uFFFD", "a real \uFFFD", 0},
	} {
		out, n := replaceInvalid([]byte(c.in))
		require.Equal(t, c.out, string(out))
		require.Equal(t, c.n, n)
	}
}

func TestCutPoint(t *testing.T) {
	for text, want := range map[string]string{
		"One is here. Two is here. Three is": "One is here. Two is here.",
		"One. two three four five six seven": "One. two three four five six",
		"Is it? It is! Really and truly so":  "Is it? It is! Really and truly",
		"unbroken":                           "unbroken",
		"":                                   "",
	} {
		require.Equal(t, want, text[:cutPoint([]byte(text))])
	}
}

func TestPiecesLoseNothing(t *testing.T) {
	require.Equal(t, []string{"short"}, pieces("short"))
	property := func(words []string, unbroken uint16) bool {
		text := strings.Repeat("é", int(unbroken)) + " " + strings.Repeat(strings.Join(words, " ")+" word. ", 200)
		text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
		var joined strings.Builder
		for _, p := range pieces(text) {
			if len(p) > MaxDocumentBytes || !utf8.ValidString(p) || p != strings.TrimSpace(p) {
				return false
			}
			joined.WriteString(p)
		}
		return strings.ReplaceAll(joined.String(), " ", "") == strings.ReplaceAll(text, " ", "")
	}
	require.NoError(t, quick.Check(property, &quick.Config{MaxCount: 20}))
}
