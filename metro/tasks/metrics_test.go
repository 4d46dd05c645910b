// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

// references are what scikit-learn, scipy, seqeval and transformers say; scripts/parity/metrics.py wrote them.
type references struct {
	Classes []map[string]any
	Numbers []struct {
		Truth, Predicted       []float64
		Pearson, Spearman, MSE float64
	}
	Entities []struct {
		Truth, Predicted []([]string)
		Precision        float64 `json:"entity_precision"`
		Recall           float64 `json:"entity_recall"`
		F1               float64 `json:"entity_f1"`
	}
	Answers []struct {
		Predicted string
		Accepted  []string
		Exact, F1 float64
	}
	TFIDF []struct {
		Classes, Features int
		Texts, Test       []string
		Labels            []int
		Logits            []any
	}
}

func readReferences(t *testing.T) (r references) {
	raw, err := os.ReadFile("testdata/metrics.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &r))
	return r
}

func TestMetricsOfClassesAreScikitLearns(t *testing.T) {
	list := func(v any) (classes []int) {
		for _, x := range v.([]any) {
			classes = append(classes, int(x.(float64)))
		}
		return classes
	}
	for i, c := range readReferences(t).Classes {
		counts := confusion(int(c["classes"].(float64)), list(c["truth"]), list(c["predicted"]))
		for name, measure := range classMetrics {
			if want, ok := c[name]; ok {
				require.InDelta(t, want, measure(counts), 1e-12, "%s of case %d", name, i)
			}
		}
	}
}

func TestMetricsOfNumbersAreScipys(t *testing.T) {
	for _, c := range readReferences(t).Numbers {
		got := measureNumbers([]string{"pearson", "spearman", "mse"}, c.Truth, c.Predicted)
		require.InDelta(t, c.Pearson, got["pearson"], 1e-12)
		require.InDelta(t, c.Spearman, got["spearman"], 1e-12)
		require.InDelta(t, c.MSE, got["mse"], 1e-12)
	}
}

// The logistic regression on TF-IDF features is scikit-learn's, to the logits.
func TestTFIDFIsScikitLearns(t *testing.T) {
	for _, c := range readReferences(t).TFIDF {
		require.Len(t, fitTFIDF(c.Texts, 1).idf, c.Features)
		for i, z := range scoreTFIDF(c.Classes, c.Texts, c.Labels, c.Test) {
			if c.Classes == 2 {
				require.InDelta(t, c.Logits[i], z[1]-z[0], 1e-4)
				continue
			}
			for class, want := range c.Logits[i].([]any) {
				require.InDelta(t, want, z[class], 1e-4)
			}
		}
	}
}

func TestMetricsThatThereAreNot(t *testing.T) {
	task := pairs()
	task.Metrics = []string{"acuracy"}
	err := task.Check()
	require.True(t, usererr.Is(err))
	require.ErrorContains(t, err, `pairs: there is no metric "acuracy" for this kind of task; did you mean "accuracy"?`)
	task.Metrics = []string{"exact_match"}
	require.ErrorContains(t, task.Check(), "exact_match", "there are no groups")
}

func TestGroupsRight(t *testing.T) {
	require.InDelta(t, 1.0/3, groupsRight([]string{"a", "a", "b", "c", "c"}, []int{0, 1, 1, 0, 0}, []int{0, 1, 0, 0, 1}), 1e-15)
}
