// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
)

// How the bag of words learns: of 3, 10 and 30 passes at the rates 0.1, 0.3 and 1 the best on the validation texts of
// [Families]. The nine lie between 0.714 and 0.771 there.
const (
	bagPasses = 30  // over the training texts
	bagRate   = 0.1 // of AdaGrad
)

// bag is a text as a bag of words: a sparse vector of length 1 whose entries go with ln(1+count).
type bag []entry

type entry struct {
	word  int
	value float64
}

// words cuts a text into its words: runs of letters and digits, in lower case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// newBag makes the bag of a text. Words that vocabulary lacks are added to it if it may grow, else passed over.
func newBag(vocabulary map[string]int, text string, grow bool) bag {
	counts := map[int]float64{}
	for _, word := range words(text) {
		id, known := vocabulary[word]
		if !known && grow {
			id, known = len(vocabulary), true
			vocabulary[word] = id
		}
		if known {
			counts[id]++
		}
	}
	b := make(bag, 0, len(counts))
	for word, n := range counts {
		b = append(b, entry{word, math.Log1p(n)})
	}
	slices.SortFunc(b, func(a, b entry) int { return a.word - b.word }) // sums must not depend on a map's order
	norm := 0.0
	for _, e := range b {
		norm += e.value * e.value
	}
	for i := range b {
		b[i].value /= math.Sqrt(norm)
	}
	return b
}

// bagOfWords predicts the classes of the test texts of t with a multinomial logistic regression on their words,
// fitted to the training texts.
func bagOfWords(t Classification) []int {
	vocabulary := map[string]int{}
	bags := make([]bag, len(t.Train))
	for i, e := range t.Train {
		bags[i] = newBag(vocabulary, e.Text, true)
	}
	m := newRegression(len(vocabulary), len(t.Classes))
	order := newTurns(len(t.Classes), classesOf(t.Train))
	for k := range bagPasses * len(bags) {
		i := order.at(0, k)
		m.learn(bags[i], t.Train[i].Class)
	}
	predicted := make([]int, len(t.Test))
	for i, e := range t.Test {
		predicted[i] = argmax(m.logProbabilities(newBag(vocabulary, e.Text, false)))
	}
	return predicted
}

// regression is a multinomial logistic regression that learns by AdaGrad (Duchi et al., 2011), one text at a time: a
// rare word's weight takes larger steps than a frequent one's.
type regression struct {
	classes          int
	weights, squares []float64 // [words+1, classes], the biases last; squares sums those of the gradients
	z                []float64 // [classes] scratch
}

func newRegression(words, classes int) *regression {
	n := (words + 1) * classes
	return &regression{classes: classes, weights: make([]float64, n), squares: make([]float64, n), z: make([]float64, classes)}
}

// logProbabilities returns those of the classes for b; they are valid until the next call.
func (m *regression) logProbabilities(b bag) []float64 {
	copy(m.z, m.weights[len(m.weights)-m.classes:])
	for _, e := range b {
		for c := range m.z {
			m.z[c] += e.value * m.weights[e.word*m.classes+c]
		}
	}
	toLogSoftmax(m.z)
	return m.z
}

func (m *regression) learn(b bag, class int) {
	for c, z := range m.logProbabilities(b) {
		d := math.Exp(z)
		if c == class {
			d--
		}
		for _, e := range b {
			m.step(e.word*m.classes+c, d*e.value)
		}
		m.step(len(m.weights)-m.classes+c, d)
	}
}

func (m *regression) step(i int, gradient float64) {
	m.squares[i] += gradient * gradient
	if m.squares[i] > 0 {
		m.weights[i] -= bagRate * gradient / math.Sqrt(m.squares[i])
	}
}

// toLogSoftmax turns logits into log-probabilities.
func toLogSoftmax(z []float64) {
	most, sum := slices.Max(z), 0.0
	for _, v := range z {
		sum += math.Exp(v - most)
	}
	for i := range z {
		z[i] -= most + math.Log(sum)
	}
}

// argmax returns the index of the largest value, the first if there are several.
func argmax[F cmp.Ordered](values []F) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}
