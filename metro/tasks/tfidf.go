// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gonum.org/v1/gonum/floats"
)

// tfidf turns texts into vectors of their words and pairs of neighbouring words, as scikit-learn's TfidfVectorizer does with
// ngram_range=(1, 2): words are runs of two or more letters, digits or _, in lower case; a count is weighted by
// ln((1+n)/(1+df)) + 1, with n texts of which df have the feature; the vector has length 1.
type tfidf struct {
	features map[string]int
	idf      []float64 // of each feature
}

// fitTFIDF learns the features that are in at least min of the texts. Equal texts give equal numbers to features.
func fitTFIDF(texts []string, min int) *tfidf {
	documents := map[string]int{} // that have a feature
	for _, text := range texts {
		seen := map[string]bool{}
		for _, f := range grams(text) {
			seen[f] = true
		}
		for f := range seen {
			documents[f]++
		}
	}
	var kept []string
	for f, n := range documents {
		if n >= min {
			kept = append(kept, f)
		}
	}
	slices.Sort(kept)
	v := &tfidf{features: make(map[string]int, len(kept)), idf: make([]float64, len(kept))}
	for i, f := range kept {
		v.features[f] = i
		v.idf[i] = math.Log(float64(1+len(texts))/float64(1+documents[f])) + 1
	}
	return v
}

// vector is that of a text. Features that are not known are passed over.
func (v *tfidf) vector(text string) bag {
	counts := map[int]float64{}
	for _, f := range grams(text) {
		if id, ok := v.features[f]; ok {
			counts[id]++
		}
	}
	b := make(bag, 0, len(counts))
	for id, n := range counts {
		b = append(b, entry{id, n * v.idf[id]})
	}
	slices.SortFunc(b, func(a, b entry) int { return cmp.Compare(a.word, b.word) })
	norm := math.Sqrt(b.dot(b))
	for i := range b {
		b[i].value /= norm
	}
	return b
}

// dot is the inner product.
func (b bag) dot(other bag) (total float64) {
	for i, j := 0, 0; i < len(b) && j < len(other); {
		switch {
		case b[i].word < other[j].word:
			i++
		case b[i].word > other[j].word:
			j++
		default:
			total += b[i].value * other[j].value
			i, j = i+1, j+1
		}
	}
	return total
}

// secondText begins the features of the second text of a pair, so that a word means one thing in the first and another in the
// second.
const secondText = "\x00"

// grams are the words of a text, then each two that follow one another; of a text and secondText and a second text, those of
// either.
func grams(text string) []string {
	first, second, pair := strings.Cut(text, secondText)
	list := gramsOf(first)
	if pair {
		for _, f := range gramsOf(second) {
			list = append(list, secondText+f)
		}
	}
	return list
}

func gramsOf(text string) []string {
	list := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '_'
	})
	list = slices.DeleteFunc(list, func(word string) bool { return utf8.RuneCountInString(word) < 2 })
	n := len(list)
	for i := range max(n-1, 0) {
		list = append(list, list[i]+" "+list[i+1])
	}
	return list
}

// logistic is a logistic regression over classes on sparse vectors, with the penalty ‖w‖²/2 beside the sum of the losses
// and none on the biases: scikit-learn's LogisticRegression with C = 1. Of two classes one has the logit 0.
type logistic struct {
	classes, fixed int       // the logits of the first fixed classes are 0
	weights        []float64 // [features+1, classes−fixed], the biases last
}

// mostWeights is from how many weights features that are in one text alone are left out: a hundred and fifty classes on all
// pairs of words that a text has once would not be worth their memory.
const mostWeights = 4_000_000

// classifyTFIDF predicts the classes of test with a logistic regression on the TF-IDF features of train.
func classifyTFIDF(classes int, train []string, classOf []int, test []string) []int {
	predicted := make([]int, len(test))
	for i, z := range scoreTFIDF(classes, train, classOf, test) {
		predicted[i] = argmax(z)
	}
	return predicted
}

// scoreTFIDF returns the logits of the classes for each of the test texts.
func scoreTFIDF(classes int, train []string, classOf []int, test []string) [][]float64 {
	v := fitTFIDF(train, 1)
	if len(v.idf)*classes > mostWeights {
		v = fitTFIDF(train, 2)
	}
	vectors := make([]bag, len(train))
	for i, text := range train {
		vectors[i] = v.vector(text)
	}
	m := fitLogistic(classes, len(v.idf), vectors, classOf)
	scores := make([][]float64, len(test))
	for i, text := range test {
		scores[i] = make([]float64, classes)
		m.logits(scores[i], v.vector(text))
	}
	return scores
}

// fitLogistic finds the weights by L-BFGS.
func fitLogistic(classes, features int, vectors []bag, classOf []int) *logistic {
	m := &logistic{classes: classes}
	if classes == 2 {
		m.fixed = 1
	}
	m.weights = make([]float64, (features+1)*(classes-m.fixed))
	loss := func(x, gradient []float64) float64 {
		return (&logistic{classes, m.fixed, x}).loss(features, vectors, classOf, gradient)
	}
	minimize(m.weights, loss, 1e-6*float64(len(vectors)), 300)
	return m
}

// loss is the penalized loss, whose gradient it writes.
func (m *logistic) loss(features int, vectors []bag, classOf []int, gradient []float64) float64 {
	free := m.classes - m.fixed
	clear(gradient)
	penalized := m.weights[:features*free]
	copy(gradient, penalized)
	loss := floats.Dot(penalized, penalized) / 2
	z := make([]float64, m.classes)
	for i, b := range vectors {
		m.logits(z, b)
		toLogSoftmax(z)
		loss -= z[classOf[i]]
		for c := range free {
			d := math.Exp(z[m.fixed+c])
			if m.fixed+c == classOf[i] {
				d--
			}
			for _, e := range b {
				gradient[e.word*free+c] += d * e.value
			}
			gradient[features*free+c] += d
		}
	}
	return loss
}

// logits writes those of the classes for b into z.
func (m *logistic) logits(z []float64, b bag) {
	free := m.classes - m.fixed
	clear(z)
	z = z[m.fixed:]
	copy(z, m.weights[len(m.weights)-free:])
	for _, e := range b {
		for c, w := range m.weights[e.word*free : (e.word+1)*free] {
			z[c] += e.value * w
		}
	}
}
