// SPDX-License-Identifier: Apache-2.0

package text

import (
	"context"
	"errors"
	"fmt"
	"go/build"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// fakeGo is a Go distribution of a few files. $GOROOT names it for the rest of the test.
func fakeGo(t testing.TB) string {
	t.Helper()
	root := writeTree(t, map[string]string{
		"VERSION": "go1.99.1\ntime 2026-01-01T00:00:00Z\n",
		"src/crypto/x.go": "// Copyright 2009 The Go Authors. All rights reserved.\n// Use of this source code is governed by a BSD-style\n" +
			"// license that can be found in the LICENSE file.\n\n// Package crypto is one of the eight families of packages.\npackage crypto\n",
		"src/crypto/internal/y.go":           "package y // too short\n\n// The same paragraph stands in more than one file here.\n",
		"src/net/z_test.go":                  "// the same paragraph stands\n// in MORE than one file here.\n\n// Invalid bytes \xff\xfe are replaced and counted in a paragraph.\n",
		"src/vendor/golang.org/x/a/a.go":     "// Vendored code is known by the path that importers write.\n",
		"src/cmd/vendor/golang.org/x/b/b.go": "// Vendored code of commands is known by its path as well.\n",
		"src/cmd/_gen/c.go":                  "// Folders with an underscore are sources like all the others.\n",
		"src/net/testdata/t.go":              "// Test data is not documentation, however long its comments are.\n",
		"src/net/.hidden/t.go":               "// Hidden folders are not documentation, however long their comments are.\n",
		"src/net/notes.txt":                  "// Other kinds of files are not read, however long their comments are.\n",
		"src/net/long.go":                    "// " + strings.Repeat("A long paragraph is cut at a sentence. ", 300) + "\n",
	})
	t.Setenv("GOROOT", root)
	return root
}

func TestGoCorpus(t *testing.T) {
	fakeGo(t)
	c, err := prepare(t, "")
	require.NoError(t, err)
	require.Equal(t, "godoc", c.Name)
	require.Equal(t, "comments of the Go distribution 1.99.1", c.Source)
	require.NoError(t, c.Verify())

	got := documents(t, c)
	long := 0
	for text, label := range got {
		if strings.HasPrefix(text, "A long paragraph") {
			require.True(t, strings.HasSuffix(text, "sentence."))
			require.Equal(t, "net", label)
			delete(got, text)
			long++
		}
	}
	require.Equal(t, 2, long)
	require.Equal(t, map[string]string{
		"Package crypto is one of the eight families of packages.":            "crypto",
		"The same paragraph stands in more than one file here.":               "crypto/internal",
		"Invalid bytes \uFFFD\uFFFD are replaced and counted in a paragraph.": "net",
		"Vendored code is known by the path that importers write.":            "golang.org/x/a",
		"Vendored code of commands is known by its path as well.":             "golang.org/x/b",
		"Folders with an underscore are sources like all the others.":         "cmd/_gen",
	}, got)
	stats := c.Stats
	stats.Splits = nil
	require.Equal(t, Stats{Files: 7, Duplicates: 1, LicenseHeaders: 1, Short: 1, InvalidBytes: 2}, stats)
}

func TestGoCorpusIsFoundAgain(t *testing.T) {
	root := fakeGo(t)
	cache := t.TempDir()
	first, err := Prepare(t.Context(), "", cache, nil)
	require.NoError(t, err)
	progress, calls := count()
	second, err := Prepare(t.Context(), Default, cache, progress)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Zero(t, *calls)

	// Another release with the same comments is another corpus with the same hash.
	require.NoError(t, os.WriteFile(filepath.Join(root, "VERSION"), []byte("go1.99.2"), 0o666))
	third, err := Prepare(t.Context(), "", cache, progress)
	require.NoError(t, err)
	require.NotZero(t, *calls)
	require.Equal(t, first.Hash, third.Hash)
	require.Contains(t, third.Source, "1.99.2")

	// A checkout that is no release may change from call to call.
	require.NoError(t, os.Remove(filepath.Join(root, "VERSION")))
	for range 2 {
		*calls = 0
		c, err := Prepare(t.Context(), "", cache, progress)
		require.NoError(t, err)
		require.NotZero(t, *calls)
		require.Equal(t, first.Hash, c.Hash)
	}
}

func TestGoDistributionIsFound(t *testing.T) {
	root := fakeGo(t)
	found, err := findGoRoot(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, root, found)

	t.Setenv("GOROOT", "")
	if _, err := exec.LookPath("go"); err == nil {
		found, err = findGoRoot(t.Context(), "")
		require.NoError(t, err)
		require.FileExists(t, filepath.Join(found, "src", "fmt", "print.go"), "what go env says")
	}

	t.Setenv("GOROOT", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	found, err = findGoRoot(t.Context(), root)
	require.NoError(t, err)
	require.Equal(t, root, found, "the one that the program was built with")

	_, err = findGoRoot(t.Context(), "")
	require.ErrorContains(t, err, "metro data export")
	require.ErrorContains(t, err, "--corpus PATH")
	require.True(t, usererr.Is(err))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = findGoRoot(ctx, "")
	require.ErrorIs(t, err, context.Canceled)
}

func TestGoDistributionWithoutComments(t *testing.T) {
	t.Setenv("GOROOT", writeTree(t, map[string]string{"src/a/a.go": "package a"}))
	_, err := prepare(t, "")
	require.ErrorContains(t, err, "1 .go files")
	require.True(t, usererr.Is(err))
}

func TestCancelledGoCorpusLeavesNothing(t *testing.T) {
	fakeGo(t)
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Prepare(ctx, "", cache, func(done, total int) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, leftovers(t, cache))
}

func TestInOrder(t *testing.T) {
	items := make([]int, 1000)
	for i := range items {
		items[i] = i
	}
	square := func(i int) (int, error) { return i * i, nil }
	var got []int
	require.NoError(t, inOrder(t.Context(), items, square, func(v int) error {
		got = append(got, v)
		return nil
	}))
	require.Len(t, got, len(items))
	for i, v := range got {
		require.Equal(t, i*i, v)
	}
	broken := errors.New("broken")
	err := inOrder(t.Context(), items, func(i int) (int, error) {
		if i == 7 {
			return 0, fmt.Errorf("item %d: %w", i, broken)
		}
		return i, nil
	}, func(int) error { return nil })
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, inOrder(t.Context(), items, square, func(int) error { return broken }), broken)
}

// TestThisGoDistribution prepares the real default corpus. The bounds are loose enough for the releases around Go 1.26,
// which has 89,477 documents with 1.90 M words in 11.7 MB.
func TestThisGoDistribution(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the whole Go distribution; leave out -short")
	}
	t.Setenv("GOROOT", build.Default.GOROOT)
	c, err := prepare(t, "")
	require.NoError(t, err)
	total := c.Stats.Total()
	require.Greater(t, total.Documents, int64(70_000))
	require.Greater(t, total.Words, int64(1_500_000))
	require.Greater(t, c.Stats.LicenseHeaders, int64(4_000))

	families := map[string]int{}
	seen := map[string]bool{}
	for _, split := range Splits {
		share := float64(c.Stats.Splits[split].Documents) / float64(total.Documents)
		want := map[Split]float64{Train: 0.9, Validation: 0.05, Test: 0.05}[split]
		require.Less(t, math.Abs(share-want), 0.005, split)
		for doc, err := range c.Documents(split) {
			require.NoError(t, err)
			if len(strings.Fields(doc.Text)) < minWords || seen[doc.Text] || strings.Contains(doc.Text, "\n") || isLicense(doc.Text) {
				t.Fatalf("not a document: %q", doc.Text)
			}
			seen[doc.Text] = true
			if family, ok := Family(doc.Label); ok {
				families[family]++
			}
		}
	}
	for _, family := range Families {
		require.Greater(t, families[family], 700, family)
	}
}
