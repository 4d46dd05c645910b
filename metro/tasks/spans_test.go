// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
	"metrolab/internal/usererr"
)

func TestAnswersAreScoredAsSQuADs(t *testing.T) {
	for _, c := range readReferences(t).Answers {
		var accepted []Answer
		for _, text := range c.Accepted {
			accepted = append(accepted, Answer{Text: text})
		}
		exact, f1 := answerScores(accepted, c.Predicted)
		require.Equal(t, c.Exact, exact, "%q for %q", c.Predicted, c.Accepted)
		require.InDelta(t, c.F1, f1, 1e-12, "%q for %q", c.Predicted, c.Accepted)
	}
}

// colourOf asks for the colour of the thing that is named, in texts of several rows; of some things there is none.
func colourOf() Spans {
	t := Spans{Name: "colour", Source: "colour"}
	for i := range 96 {
		q := Asked{ID: "q", Question: "colour", Context: strings.Repeat("the file is here . ", i%3) + "é " + colours[i%4] + " file ."}
		if i%4 == 3 {
			q.Context = "the file is here . the file is here ."
		} else {
			q.Answers = []Answer{{colours[i%4], strings.Index(q.Context, colours[i%4])}}
		}
		part := &t.Train
		if i >= 80 {
			part = &t.Test
		}
		*part = append(*part, q)
	}
	return t
}

func TestSpansLearn(t *testing.T) {
	task, p := colourOf(), shape(t, "the file is here .", "é red green blue black", "colour")
	require.NoError(t, task.Check())
	result, err := Finetune(t.Context(), runnerOn(t, backendtest.Go(t)), p, task, scratch(60), nil)
	require.NoError(t, err)
	require.Equal(t, "span_f1", result.Metric)
	require.Greater(t, result.Model.Metrics["exact_match"], 0.9)
	require.InDelta(t, 0.25, result.Majority.Metrics["exact_match"], 1e-12, "never an answer")
}

// Every token of a text stands in some row, the rows overlap by the stride, and each token is best in one row alone. The target of a
// row is the answer, or none where the row does not show it.
func TestStrides(t *testing.T) {
	p := shape(t, "the file is here .", "red", "colour")
	task := Spans{Stride: 3}
	q := Asked{Question: "colour", Context: strings.Repeat("the file is here . ", 6) + "red .", Answers: []Answer{{"red", 6 * 19}}}
	rows := &Rows{width: 2}
	task.encode(rows, p.Tokenizer, 16, 0, q)
	best, answered := map[int]int{}, 0
	for row, s := range rows.shown {
		require.Equal(t, "colour", p.Tokenizer.Decode(rows.windows[row].Tokens[1:s.from-1]))
		for k, span := range s.spans {
			if s.best[k] {
				best[span.Start]++
			}
		}
		if first, last := rows.targets[2*row], rows.targets[2*row+1]; first > 0 {
			answered++
			require.Equal(t, "red", q.Context[s.spans[int(first)-s.from].Start:s.spans[int(last)-s.from].End])
		}
	}
	require.Greater(t, len(rows.shown), 4)
	require.Positive(t, answered)
	require.Less(t, answered, len(rows.shown))
	require.Len(t, best, 32)
	for start, n := range best {
		require.Equal(t, 1, n, "byte %d", start)
	}
}

func TestAnswersOutsideTheText(t *testing.T) {
	task := colourOf()
	task.Test[0].Answers = []Answer{{"red", 900}}
	err := task.Check()
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, `does not stand at byte 900 of its text`)
}
