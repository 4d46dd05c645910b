// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"metrolab/internal/spelling"
	"metrolab/internal/usererr"
	"metrolab/metro/runs"
)

// classMetrics are the metrics of predicted classes, by their names. counts is texts by [true class][predicted class]. All
// are those of scikit-learn, with 0 where a quotient has no denominator.
var classMetrics = map[string]func(counts [][]int) float64{
	"accuracy":          accuracy,
	"balanced_accuracy": balancedAccuracy,
	"f1":                func(counts [][]int) float64 { return f1(counts, 1) }, // of the second class, the positive one
	"macro_f1":          macroF1,
	"matthews":          matthews,
}

// numberMetrics are the metrics of predicted numbers.
var numberMetrics = map[string]func(truth, predicted []float64) float64{
	"pearson":  pearson,
	"spearman": func(truth, predicted []float64) float64 { return pearson(ranks(truth), ranks(predicted)) },
	"mse":      meanSquare,
}

func accuracy(counts [][]int) float64 {
	right, n := 0, 0
	for class, row := range counts {
		right += row[class]
		n += sum(row)
	}
	return part(float64(right), float64(n))
}

// balancedAccuracy is the mean recall over the classes that there are.
func balancedAccuracy(counts [][]int) float64 {
	total, present := 0.0, 0.0
	for class, row := range counts {
		if n := sum(row); n > 0 {
			total += float64(row[class]) / float64(n)
			present++
		}
	}
	return part(total, present)
}

// f1 is 2·TP/(2·TP+FP+FN) of a class.
func f1(counts [][]int, class int) float64 {
	called := 0
	for _, row := range counts {
		called += row[class]
	}
	return part(2*float64(counts[class][class]), float64(sum(counts[class])+called))
}

// macroF1 is the mean of f1 over the classes that are in the texts or in the predictions.
func macroF1(counts [][]int) float64 {
	total, present := 0.0, 0.0
	for class := range counts {
		seen := sum(counts[class])
		for _, row := range counts {
			seen += row[class]
		}
		if seen > 0 {
			total += f1(counts, class)
			present++
		}
	}
	return part(total, present)
}

// matthews is the correlation of true and predicted classes, of any number of classes (Gorodkin, 2004): with c right of s
// texts, t_k texts of class k and p_k predictions of it, (c·s − Σ t_k·p_k) / √((s² − Σ p_k²)(s² − Σ t_k²)).
func matthews(counts [][]int) float64 {
	var right, n, both, truths, calls float64
	for class, row := range counts {
		called := 0
		for _, other := range counts {
			called += other[class]
		}
		t, p := float64(sum(row)), float64(called)
		right, n = right+float64(row[class]), n+t
		both, truths, calls = both+t*p, truths+t*t, calls+p*p
	}
	return part(right*n-both, math.Sqrt((n*n-calls)*(n*n-truths)))
}

// pearson is the correlation of numbers; 0 where one side is constant, for which it is not defined.
func pearson(truth, predicted []float64) float64 {
	if len(truth) < 2 || constant(truth) || constant(predicted) {
		return 0
	}
	return stat.Correlation(truth, predicted, nil)
}

func constant(values []float64) bool { return slices.Min(values) == slices.Max(values) }

// ranks are the places of values in their order, the mean of their places for equal ones.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	r := make([]float64, len(values))
	for first := 0; first < len(order); {
		end := first + 1
		for end < len(order) && values[order[end]] == values[order[first]] {
			end++
		}
		for _, i := range order[first:end] {
			r[i] = float64(first+end-1) / 2
		}
		first = end
	}
	return r
}

func meanSquare(truth, predicted []float64) float64 {
	total := 0.0
	for i, t := range truth {
		total += (t - predicted[i]) * (t - predicted[i])
	}
	return part(total, float64(len(truth)))
}

// part is a/of, 0 where there is nothing to take a part of.
func part(a, of float64) float64 {
	if of == 0 {
		return 0
	}
	return a / of
}

// measureClasses computes the named metrics.
func measureClasses(metrics []string, counts [][]int) runs.Values {
	values := runs.Values{}
	for _, name := range metrics {
		values[name] = classMetrics[name](counts)
	}
	return values
}

// measureNumbers computes the named metrics.
func measureNumbers(metrics []string, truth, predicted []float64) runs.Values {
	values := runs.Values{}
	for _, name := range metrics {
		values[name] = numberMetrics[name](truth, predicted)
	}
	return values
}

// checkMetrics is the user's error for names that a table does not have.
func checkMetrics[F any](source string, metrics []string, table map[string]F) error {
	names := slices.Sorted(maps.Keys(table))
	for _, name := range metrics {
		if _, ok := table[name]; !ok {
			return usererr.New("%s: there is no metric %q for this kind of task; did you mean %q? There are %s",
				source, name, spelling.Nearest(name, names), strings.Join(names, ", "))
		}
	}
	return nil
}
