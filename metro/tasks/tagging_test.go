// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
)

func TestEntitiesAreSeqevals(t *testing.T) {
	for i, c := range readReferences(t).Entities {
		f := entities(c.Truth, c.Predicted)
		require.InDelta(t, c.Precision, f.precision(), 1e-12, "case %d", i)
		require.InDelta(t, c.Recall, f.recall(), 1e-12, "case %d", i)
		require.InDelta(t, c.F1, f.f1(), 1e-12, "case %d", i)
	}
}

// tagged is colours among other words, after "no" not.
func tagged() Tagging {
	t := Tagging{Name: "tagged", Source: "tagged", Tags: []string{"O", "B-COLOUR", "I-COLOUR"}, Metrics: []string{"entity_f1", "accuracy"}}
	for i := range 90 {
		s := Sentence{Words: []string{"the", "file", "is", colours[i%4], colours[(i/4)%4], "x"}, Tags: []string{"O", "O", "O", "B-COLOUR", "I-COLOUR", "O"}}
		if i%3 == 0 {
			s = Sentence{Words: []string{"no", colours[i%4], "file"}, Tags: []string{"O", "O", "O"}}
		}
		part := &t.Train
		if i >= 72 {
			part = &t.Test
		}
		*part = append(*part, s)
	}
	return t
}

func TestTaggingLearns(t *testing.T) {
	task, p := tagged(), shape(t, "the file is red green", "no blue black file")
	result, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), p, task, scratch(60), nil)
	require.NoError(t, err)
	require.Greater(t, result.Model.Metrics["entity_f1"], 0.9)
	require.Less(t, result.Majority.Metrics["entity_f1"], 0.9, "words alone do not tell")

	train, _ := task.Encode(p.Tokenizer, 16)
	ids, first, cut := wordTokens(p.Tokenizer, task.Train[1].Words, 16)
	require.False(t, cut)
	require.Len(t, first, 6)
	require.Equal(t, ids, train.windows[1].Tokens[:len(ids)])
	require.EqualValues(t, 1, train.targets[16+first[3]])
	require.EqualValues(t, noTag, train.targets[16])
	_, first, cut = wordTokens(p.Tokenizer, task.Train[1].Words, 6)
	require.True(t, cut)
	require.Less(t, len(first), 6, "the words that are not read")
}

func TestTaggingSettings(t *testing.T) {
	for _, set := range []string{"task.pooling=cls", "training.accumulate=2"} {
		o := scratch(2)
		o.Set = []string{set}
		_, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), shape(t, "file"), tagged(), o, nil)
		require.True(t, usererr.Is(err))
		require.ErrorContains(t, err, set)
	}
}

// Of two files the one that exists is meant; the place of the right choice says nothing.
func TestChoiceLearns(t *testing.T) {
	task := Choice{Name: "choice", Source: "choice", Choices: 2, Metrics: []string{"accuracy"}}
	for i := range 120 {
		q := Question{Text: "the file", Choices: []string{"exists " + colours[i%4], "is gone " + colours[i%4]}}
		if i%7%2 == 0 {
			q.Choices[0], q.Choices[1], q.Right = q.Choices[1], q.Choices[0], 1
		}
		part := &task.Train
		if i >= 96 {
			part = &task.Test
		}
		*part = append(*part, q)
	}
	result, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), shape(t, "the file exists", "is gone red green blue black"), task, scratch(40), nil)
	require.NoError(t, err)
	require.Greater(t, result.Model.Metrics["accuracy"], 0.9)
	require.Greater(t, result.TFIDF.Metrics["accuracy"], 0.9)
	require.Less(t, result.Majority.Metrics["accuracy"], 0.8)
	task.Test[0].Choices = append(task.Test[0].Choices, "a third")
	require.ErrorContains(t, task.Check(), "has 3 choices and others have 2")
}
