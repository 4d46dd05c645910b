// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
)

// The evaluation is SQuAD's on each statement, the best over the answers, and the mean over statements. By ReCoRD's evaluate.py:
// (Bob Lee | Lee): F1 2·1·½/(1+½) = 2/3; (the U.S. | us): equal; (Ann | Sue): nothing.
func TestClozeIsMeasuredAsReCoRD(t *testing.T) {
	truth := []Blank{{Answers: []string{"Ann", "Bob Lee"}}, {Answers: []string{"the U.S."}}, {Answers: []string{"Ann"}}}
	m := Cloze{}.measure(truth, []string{"Lee", "us", "Sue"}).Metrics
	require.InDelta(t, 1.0/3, m["exact_match"], 1e-12)
	require.InDelta(t, (2.0/3+1)/3, m["span_f1"], 1e-12)
}

// A statement is a row for each candidate, of which the likeliest is the answer; what was published otherwise counts as right.
func TestClozeRows(t *testing.T) {
	task, err := Read("superglue-record", ReadOptions{Data: folderOf(t, benchmarks)})
	require.NoError(t, err)
	cloze := task.(Cloze)
	p := shape(t, "in köln ann met bob lee left stayed", "sue saw tom ran was seen it")
	train, asked := cloze.Encode(p.Tokenizer, 16)
	require.Equal(t, []int32{0, 0, 1, 1, 0, 0}, train.targets)
	require.Equal(t, []int32{0, 1}, asked.targets)
	require.Equal(t, 1, train.windows[3].Text)
	require.Equal(t, 6, trainingRows(p, cloze, 16))

	scored := cloze.Score(asked, [][]float32{{-1, -0.5}, {-2, -0.1}})
	require.Equal(t, []Prediction{{Example: 0, ID: "4/9", Target: []string{"Tom"}, Predicted: "Tom"}}, scored.Predictions)
	require.InDelta(t, 1, scored.Model.Metrics["exact_match"], 0)
	require.InDelta(t, 0, cloze.Score(asked, [][]float32{{-1, -0.1}, {-2, -0.1}}).Model.Metrics["exact_match"], 0, "of equals the first")
	require.InDelta(t, 1, cloze.Baselines().Majority.Metrics["exact_match"], 0, "Tom is named twice")

	few, err := Few(cloze, 1, 3)
	require.NoError(t, err)
	require.Len(t, few.(Cloze).Train, 1)
}

// What stands in the file that nothing can be asked of is said with its line.
func TestReCoRDThatCannotBeRead(t *testing.T) {
	for want, line := range map[string]string{
		"the entity at characters 3 to 4 is outside the text of 4 characters":  `{"passage": {"text": "Ännä", "entities": [{"start": 3, "end": 4}]}, "qas": [{"query": "@placeholder", "answers": [{"text": "A"}], "idx": 0}], "idx": 0}`,
		`query 7 has no @placeholder: "who?"`:                                  `{"passage": {"text": "Ann", "entities": [{"start": 0, "end": 2}]}, "qas": [{"query": "who?", "answers": [{"text": "Ann"}], "idx": 7}], "idx": 0}`,
		"query 7 has no answer; those of SuperGLUE's test file are not public": `{"passage": {"text": "Ann", "entities": [{"start": 0, "end": 2}]}, "qas": [{"query": "@placeholder", "idx": 7}], "idx": 0}`,
		`there is no "passage" with a "text" and "entities"`:                   `{"passage": {"text": "Ann"}, "qas": [], "idx": 0}`,
	} {
		files := map[string]string{"train.jsonl": benchmarks["ReCoRD/train.jsonl"], "val.jsonl": benchmarks["ReCoRD/val.jsonl"] + "\n" + line}
		_, err := Read("superglue-record", ReadOptions{Data: folderOf(t, files)})
		require.True(t, usererr.Is(err), want)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "val.jsonl:2: ")
		task, err := Read("superglue-record", ReadOptions{Data: folderOf(t, files), SkipBadRows: true})
		require.NoError(t, err)
		require.Len(t, task.(Cloze).Test, 1)
		require.Len(t, task.About().Notes, 1)
	}
}

// Which of two files a statement means is learned; the one that is named more often says nothing.
func TestClozeLearns(t *testing.T) {
	task := Cloze{Name: "cloze", Source: "cloze"}
	for i := range 60 {
		names := []string{colours[i%4], colours[(i+1)%4]}
		b := Blank{Text: "the file", Statement: "it exists " + Placeholder, Candidates: []string{"here " + names[0], "gone " + names[1]}, Answers: []string{"here " + names[0]}}
		if i%7%2 == 0 {
			b.Candidates[0], b.Candidates[1] = b.Candidates[1], b.Candidates[0]
		}
		part := &task.Train
		if i >= 48 {
			part = &task.Test
		}
		*part = append(*part, b)
	}
	result, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), shape(t, "the file it exists here gone", "red green blue black"), task, scratch(40), nil)
	require.NoError(t, err)
	require.Greater(t, result.Model.Metrics["exact_match"], 0.9)
	require.Less(t, result.Majority.Metrics["exact_match"], 0.8)
	task.Test[0].Statement = strings.TrimSuffix(task.Test[0].Statement, Placeholder)
	require.ErrorContains(t, task.Check(), "it needs one or more of each, and @placeholder where a name is missing")
}

// Whatever a line holds, it is an example that can be asked, or a bad row.
func FuzzReadReCoRD(f *testing.F) {
	f.Add(benchmarks["ReCoRD/train.jsonl"])
	f.Add(benchmarks["ReCoRD/val.jsonl"])
	f.Add(`{"passage": {"text": "é", "entities": [{"start": 0, "end": 0}]}, "qas": [{"query": "@placeholder", "answers": [{"text": ""}]}]}`)
	f.Add(`{"passage": {"text": "a", "entities": [{"start": -1, "end": 9223372036854775807}]}, "qas": []}`)
	f.Fuzz(func(t *testing.T, line string) {
		path := filepath.Join(t.TempDir(), "rows.jsonl")
		require.NoError(t, os.WriteFile(path, []byte(line), 0o600))
		var items []item
		if readReCoRD(path, Spec{}, &badRows{}, func(i item) { items = append(items, i) }) != nil || len(items) == 0 {
			return
		}
		require.NoError(t, Cloze{Train: blanks(items), Test: blanks(items)}.Check())
	})
}
