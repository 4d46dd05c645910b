// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro"
	"metrolab/metro/data"
	"metrolab/metro/tokens"
)

// Classification is texts, or pairs of texts, to be told apart.
type Classification struct {
	Name    string
	Source  string   // where the texts are from, for people
	Classes []string // at least two

	Train, Test []Example // at least one of each class in each
	Validation  []Example // to choose settings by; the same, or none

	// Whole reads each text, or pair of texts, as one row that [SEP] ends, cut where it is too long, in an order that leaves
	// the classes their shares. Else texts are cut into windows, each an example of its text's class, and the classes take turns.
	Whole   bool
	Pairs   bool     // whether examples have a second text; of whole rows
	Metrics []string // names of what is measured, of whole rows; the first is what models are compared by
	Groups  []string // of each test example the group that it belongs to, for metrics of groups; nil for none
	Notes   []string
}

// Example is a text and its class, an index of [Classification.Classes].
type Example struct {
	Text  string
	Class int
	Pair  string `json:",omitempty"` // the second text
}

// About implements [Task].
func (t Classification) About() About {
	about := About{
		Name: t.Name, Source: t.Source, Kind: "classification", Metric: "balanced_accuracy", Classes: t.Classes,
		TrainTexts: len(t.Train), TestTexts: len(t.Test), Notes: t.Notes,
	}
	if t.Whole {
		about.Metric = t.Metrics[0]
	}
	return about
}

// Check implements [Task].
func (t Classification) Check() error {
	if len(t.Train)+len(t.Test) == 0 {
		return usererr.New("%s: there are no texts", t.Source)
	}
	if len(t.Classes) < 2 {
		return usererr.New("%s: all texts have one label, %q; a task needs at least two to tell apart", t.Source, t.Classes)
	}
	if t.Whole {
		return t.checkWhole()
	}
	train, test := t.count(t.Train), t.count(t.Test)
	for class, name := range t.Classes {
		if train[class] == 0 || test[class] == 0 {
			return usererr.New("%s: of the label %q, %d texts are in the training part and %d in the test part, and both need one; give more texts of it, or leave it out",
				t.Source, name, train[class], test[class])
		}
		if len(t.Validation) > 0 && t.count(t.Validation)[class] == 0 {
			return usererr.New("%s: of the label %q, no text is in the validation part; give more texts of it, or leave it out", t.Source, name)
		}
	}
	return nil
}

func (t Classification) checkWhole() error {
	if err := checkMetrics(t.Source, t.Metrics, t.metrics()); err != nil {
		return err
	}
	if len(t.Test) == 0 {
		return usererr.New("%s: there are no test texts", t.Source)
	}
	for class, n := range t.count(t.Train) {
		if n == 0 {
			return usererr.New("%s: no training text has the label %q; give some, or leave the label out", t.Source, t.Classes[class])
		}
	}
	return nil
}

// metrics are those that the task can measure: f1 of two classes alone, those of groups where there are some.
func (t Classification) metrics() map[string]func(counts [][]int) float64 {
	table := maps.Clone(classMetrics)
	if len(t.Classes) != 2 {
		delete(table, "f1")
	}
	if t.Groups != nil {
		table[groupExact] = nil
	}
	return table
}

// groupExact is the name of the metric of [groupsRight].
const groupExact = "exact_match"

// groupsRight is the part of the groups all of whose examples are right: MultiRC's exact match of a question.
func groupsRight(groups []string, truth, predicted []int) float64 {
	right := map[string]bool{}
	for i, g := range groups {
		before, seen := right[g]
		right[g] = (before || !seen) && truth[i] == predicted[i]
	}
	n := 0
	for _, ok := range right {
		if ok {
			n++
		}
	}
	return part(float64(n), float64(len(right)))
}

// Hash implements [Task]: of the classes, and of the examples in their order.
func (t Classification) Hash() string {
	content := []any{t.Classes, t.Train, t.Test}
	if len(t.Validation) > 0 {
		content = append(content, t.Validation)
	}
	if t.Whole {
		content = append(content, "whole", t.Pairs, t.Metrics, t.Groups)
	}
	return hashOf(content...)
}

// hashOf is the SHA-256, in hexadecimal, of what decides what a task is.
func hashOf(content ...any) string {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(content); err != nil {
		panic(err) // texts and numbers
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// GraphKey implements [Task].
func (t Classification) GraphKey() string {
	key := fmt.Sprintf("classification/%d", len(t.Classes))
	if t.Pairs {
		key += "/pairs"
	}
	return key
}

// Form implements [Task].
func (t Classification) Form(int) Form {
	form := Form{Texts: 1, Pooled: true, Pairs: t.Pairs, Target: shapes.Make(dtypes.Int32)}
	if t.Whole {
		form.Least = leastTokens
	}
	return form
}

// Encode implements [Task]. Every window of a text is a row, and its target the text's class. The rows that are asked about
// are those of the test texts, then those of the validation texts.
func (t Classification) Encode(tokenizer tokens.Tokenizer, seqLen int) (train, asked *Rows) {
	encode := func(examples []Example) *Rows { return newRows(tokenizer, seqLen, examples) }
	if t.Whole {
		encode = func(examples []Example) *Rows {
			p := newPacker(tokenizer, seqLen)
			for i, e := range examples {
				p.add(i, e.Text, e.Pair, t.Pairs)
				p.rows.targets = append(p.rows.targets, int32(e.Class))
			}
			return p.rows
		}
	}
	return encode(t.Train), encode(slices.Concat(t.Test, t.Validation))
}

// Order implements [Task]: of windows the classes take turns, so that all weigh the same; whole rows are shuffled.
func (t Classification) Order(train *Rows) func(seed int64, k int) int {
	if t.Whole {
		return func(seed int64, k int) int { return data.Shuffled(seed, train.Len(), k) }
	}
	classes := make([]int, len(train.targets))
	for i, class := range train.targets {
		classes[i] = int(class)
	}
	return newTurns(len(t.Classes), classes).at
}

// Head implements [Task]: the scores of the classes, [B, classes], a linear map of [HeadInput.pooled] that starts at 0, so that the
// loss starts at ln classes.
func (t Classification) Head(scope *model.Scope, in HeadInput) *Node {
	return layers.Dense(scope.In("task"), in.pooled(scope), len(t.Classes), layers.InitZeros)
}

// Loss implements [Task]: the mean cross-entropy.
func (t Classification) Loss(outputs, targets *Node) *Node { return crossEntropy(outputs, targets) }

// crossEntropy is the mean over rows of that of logits, [B, classes], against classes, [B] int32.
func crossEntropy(outputs, targets *Node) *Node {
	logits, one := InsertAxes(outputs, 1), InsertAxes(targets, -1)
	return metro.CrossEntropy(logits, one, OnesLike(ConvertDType(one, logits.DType())))
}

// Right implements [Task].
func (t Classification) Right(outputs, targets *Node) (right, of *Node) {
	return rightClasses(outputs, targets)
}

// rightClasses counts the rows whose highest logit is that of their class, and the rows.
func rightClasses(outputs, targets *Node) (right, of *Node) {
	right = ReduceAllSum(ConvertDType(Equal(ArgMax(outputs, -1, dtypes.Int32), targets), outputs.DType()))
	return right, Scalar(outputs.Graph(), outputs.DType(), float64(targets.Shape().Size()))
}

// Answers implements [Task]: log-probabilities.
func (t Classification) Answers(outputs *Node) *Node { return LogSoftmax(outputs) }

// Score implements [Task]. A text's class is the one with the highest log-probability, averaged over its windows.
func (t Classification) Score(asked *Rows, answers [][]float32) Scored {
	sums, predicted := t.classify(asked, answers)
	scored := Scored{Model: t.measure(t.Test, predicted[:len(t.Test)])}
	if len(t.Validation) > 0 {
		validation := t.measure(t.Validation, predicted[len(t.Test):])
		scored.Validation = &validation
	}
	for i, e := range t.Test {
		p := Prediction{Example: i, Target: t.Classes[e.Class], Predicted: t.Classes[predicted[i]], Scores: map[string]float32{}}
		for class, v := range sums[i] {
			p.Scores[t.Classes[class]] = float32(v)
		}
		scored.Predictions = append(scored.Predictions, p)
	}
	return scored
}

// mostShown is the number of classes from which a table of which were taken for which would be longer than anybody reads.
const mostShown = 20

// measure compares predicted classes with true ones.
func (t Classification) measure(truth []Example, predicted []int) Scores {
	s := newScores(len(t.Classes), classesOf(truth), predicted)
	if !t.Whole {
		return s
	}
	metrics := slices.DeleteFunc(slices.Clone(t.Metrics), func(name string) bool { return name == groupExact })
	s.Metrics = measureClasses(metrics, s.Confusion)
	if len(metrics) < len(t.Metrics) && len(truth) == len(t.Groups) {
		s.Metrics[groupExact] = groupsRight(t.Groups, classesOf(truth), predicted)
	}
	if len(t.Classes) > mostShown {
		s.Recall, s.Confusion = nil, nil
	}
	return s
}

// classify returns the class of each test text, then of each validation text, and the log-probabilities of the classes, summed
// over its windows: their number does not change which is the highest.
func (t Classification) classify(asked *Rows, answers [][]float32) (sums [][]float64, predicted []int) {
	sums, predicted = make([][]float64, len(t.Test)+len(t.Validation)), make([]int, len(t.Test)+len(t.Validation))
	for i := range sums {
		sums[i] = make([]float64, len(t.Classes))
	}
	for row, values := range answers {
		for class, v := range values {
			sums[asked.windows[row].Text][class] += float64(v)
		}
	}
	for i, sum := range sums {
		predicted[i] = argmax(sum)
	}
	return sums, predicted
}

// Baselines implements [Task]: the largest class, and a logistic regression on words, or of whole rows on TF-IDF features.
func (t Classification) Baselines() Baselines {
	b := Baselines{Majority: t.measure(t.Test, majority(t.count(t.Train), len(t.Test)))}
	if t.Whole {
		b.TFIDF = t.measure(t.Test, classifyTFIDF(len(t.Classes), t.texts(t.Train), classesOf(t.Train), t.texts(t.Test)))
	} else {
		b.BagOfWords = t.measure(t.Test, bagOfWords(t))
	}
	return b
}

// texts are those of examples, the two of a pair with secondText between.
func (t Classification) texts(examples []Example) []string {
	texts := make([]string, len(examples))
	for i, e := range examples {
		texts[i] = e.Text
		if t.Pairs {
			texts[i] += secondText + e.Pair
		}
	}
	return texts
}

// count returns the number of examples of each class.
func (t Classification) count(examples []Example) []int {
	n := make([]int, len(t.Classes))
	for _, e := range examples {
		n[e.Class]++
	}
	return n
}

func classesOf(examples []Example) []int {
	classes := make([]int, len(examples))
	for i, e := range examples {
		classes[i] = e.Class
	}
	return classes
}
