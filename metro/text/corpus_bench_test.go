// SPDX-License-Identifier: Apache-2.0

package text

import (
	"go/build"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkCommentParagraphs(b *testing.B) {
	src, err := os.ReadFile(filepath.Join(build.Default.GOROOT, "src", "net", "http", "server.go"))
	if err != nil {
		b.Skip(err)
	}
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		commentParagraphs(src)
	}
}

func BenchmarkParagraphs(b *testing.B) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog and on.\n\n", 20000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, err := paragraphs(strings.NewReader(text), func(string) error { return nil })
		require.NoError(b, err)
	}
}

// BenchmarkPrepare makes a corpus of a file of 10 MB.
func BenchmarkPrepare(b *testing.B) {
	file := filepath.Join(b.TempDir(), "big.txt")
	writeBig(b, file, 10<<20)
	b.SetBytes(10 << 20)
	for b.Loop() {
		_, err := Prepare(b.Context(), file, b.TempDir(), nil)
		require.NoError(b, err)
	}
}

// BenchmarkDocuments reads the train split of a corpus of 10 MB.
func BenchmarkDocuments(b *testing.B) {
	file := filepath.Join(b.TempDir(), "big.txt")
	writeBig(b, file, 10<<20)
	c, err := prepare(b, file)
	require.NoError(b, err)
	b.SetBytes(c.Stats.Splits[Train].Bytes)
	for b.Loop() {
		for _, err := range c.Documents(Train) {
			require.NoError(b, err)
		}
	}
}
