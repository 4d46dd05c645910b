// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
	"metrolab/metro/text"
)

// library is a corpus of made paragraphs, n below each folder named; a folder's name serves as a package's.
func library(t *testing.T, n int, packages ...string) *text.Corpus {
	t.Helper()
	dir := t.TempDir()
	for _, name := range packages {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "Paragraph %d about %s and its friends.\n\n", i, name)
		}
		path := filepath.Join(dir, "src", name, "doc.txt")
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	}
	corpus, err := text.Prepare(t.Context(), filepath.Join(dir, "src"), filepath.Join(dir, "cache"), nil)
	require.NoError(t, err)
	return corpus
}

func TestFamilies(t *testing.T) {
	corpus := library(t, 1000, append(slices.Clone(text.Families), "fmt")...)
	task, err := Families(corpus)
	require.NoError(t, err)
	require.Equal(t, text.Families, task.Classes)
	require.NoError(t, task.Check())
	again, err := Families(corpus)
	require.NoError(t, err)
	require.Equal(t, task, again)

	splits := map[string]text.Split{}
	for _, split := range []text.Split{text.Train, text.Validation, text.Test} {
		for doc, err := range corpus.Documents(split) {
			require.NoError(t, err)
			splits[doc.Text] = split
		}
	}
	validation, test := task.count(task.Validation), task.count(task.Test)
	for class, n := range task.count(task.Train) {
		require.Equal(t, familyTrainTexts, n, task.Classes[class])
		require.InDelta(t, 50, validation[class], 25, "a twentieth of 1000 texts")
		require.InDelta(t, 50, test[class], 25, "a twentieth of 1000 texts")
	}
	for split, part := range map[text.Split][]Example{text.Train: task.Train, text.Validation: task.Validation, text.Test: task.Test} {
		for _, e := range part {
			require.Contains(t, e.Text, "about "+task.Classes[e.Class]+" and")
			require.Equal(t, split, splits[e.Text], "no part reaches into another's split")
		}
	}
}

// A sample is the same whatever the order of the texts, and never larger than asked for.
func TestSample(t *testing.T) {
	var texts []string
	for i := range 500 {
		texts = append(texts, fmt.Sprint("text ", i))
	}
	var want []string
	for trial := range 5 {
		rng := rand.New(rand.NewPCG(1, uint64(trial)))
		rng.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
		var s sample
		for _, text := range texts {
			s.add(text, 20)
		}
		got := s.texts(20)
		require.Len(t, got, 20)
		if trial > 0 {
			require.Equal(t, want, got)
		}
		want = got
	}
}

func TestFamiliesNeedsLabels(t *testing.T) {
	for want, corpus := range map[string]*text.Corpus{
		"crypto, encoding, go, math, net, os, runtime, syscall": library(t, 50, "poems"),
		"encoding, go, math, net, os, runtime, syscall":         library(t, 200, "crypto"),
	} {
		_, err := Families(corpus)
		require.ErrorContains(t, err, "has too few paragraphs labelled as from the Go packages "+want+":")
		require.True(t, usererr.Is(err))
	}
}
