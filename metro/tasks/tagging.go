// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/internal/usererr"
	"metrolab/layers"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/tokens"
)

// Tagging is sentences whose words have a tag each: parts of speech, or entities as B-KIND, I-KIND and O.
type Tagging struct {
	Name    string
	Source  string   // where the sentences are from, for people
	Tags    []string // all that training has
	Metrics []string // names of what is measured; the first is what models are compared by

	Train, Test []Sentence
	Validation  []Sentence // or none

	Notes []string
}

// Sentence is words and, of each, its tag. A test sentence may have tags that training lacks.
type Sentence struct {
	Words, Tags []string
}

// tagMetrics are the metrics of tags, by their names, over all words and over the entities of sentences.
var tagMetrics = map[string]func(truth, predicted [][]string) float64{
	"accuracy":         tagAccuracy,
	"entity_f1":        func(truth, predicted [][]string) float64 { return entities(truth, predicted).f1() },
	"entity_precision": func(truth, predicted [][]string) float64 { return entities(truth, predicted).precision() },
	"entity_recall":    func(truth, predicted [][]string) float64 { return entities(truth, predicted).recall() },
}

// About implements [Task].
func (t Tagging) About() About {
	return About{Name: t.Name, Source: t.Source, Kind: "tagging", Metric: t.Metrics[0], Classes: t.Tags, TrainTexts: len(t.Train), TestTexts: len(t.Test), Notes: t.Notes}
}

// Check implements [Task].
func (t Tagging) Check() error {
	if len(t.Train) == 0 || len(t.Test) == 0 {
		return usererr.New("%s: there are %d sentences for training and %d for testing; both need some", t.Source, len(t.Train), len(t.Test))
	}
	if len(t.Tags) < 2 {
		return usererr.New("%s: all words have one tag, %q; a task needs at least two", t.Source, t.Tags)
	}
	return checkMetrics(t.Source, t.Metrics, tagMetrics)
}

// Hash implements [Task].
func (t Tagging) Hash() string {
	return hashOf("tagging", t.Tags, t.Metrics, t.Train, t.Test, t.Validation)
}

// GraphKey implements [Task].
func (t Tagging) GraphKey() string { return fmt.Sprintf("tagging/%d", len(t.Tags)) }

// Form implements [Task].
func (t Tagging) Form(seqLen int) Form {
	return Form{Texts: 1, Least: leastTokens, Target: shapes.Make(dtypes.Int32, seqLen), Counted: true}
}

// noTag is the target of a token that is not the first of a word.
const noTag = -1

// Encode implements [Task]. A sentence is one row, [CLS] words [SEP]; the first token of each word has its tag, as in BERT's
// paper. Words beyond the row are not read, and predicted as the most frequent tag.
func (t Tagging) Encode(tokenizer tokens.Tokenizer, seqLen int) (train, asked *Rows) {
	tags := map[string]int32{}
	for i, tag := range t.Tags {
		tags[tag] = int32(i)
	}
	encode := func(sentences []Sentence) *Rows {
		rows := &Rows{width: seqLen}
		windows := data.Windows{SeqLen: seqLen, Special: tokenizer.Special(), Closed: true}
		for i, s := range sentences {
			ids, first, cut := wordTokens(tokenizer, s.Words, seqLen)
			targets := make([]int32, seqLen)
			for k := range targets {
				targets[k] = noTag
			}
			for word, at := range first {
				if tag, ok := tags[s.Tags[word]]; ok {
					targets[at] = tag
				}
			}
			if cut {
				rows.cut++
			}
			rows.windows, rows.targets, rows.first = append(rows.windows, windows.Whole(i, ids)), append(rows.targets, targets...), append(rows.first, first)
		}
		return rows
	}
	return encode(t.Train), encode(slices.Concat(t.Test, t.Validation))
}

// wordTokens is the row of a sentence, and where the first token of each word stands in it, as far as they are in it.
func wordTokens(tokenizer tokens.Tokenizer, words []string, seqLen int) (ids []int32, first []int, cut bool) {
	special := tokenizer.Special()
	ids = []int32{special.CLS}
	for _, word := range words {
		pieces := tokenizer.EncodeIDs(nil, word)
		tokens.Plain(tokenizer, pieces)
		if len(pieces) == 0 { // of characters that the tokenizer drops
			pieces = []int32{special.UNK}
		}
		if len(ids)+len(pieces) > seqLen-1 {
			return append(ids, special.SEP), first, true
		}
		first = append(first, len(ids))
		ids = append(ids, pieces...)
	}
	return append(ids, special.SEP), first, false
}

// Order implements [Task]: pass after pass, each in an order of its own.
func (t Tagging) Order(*Rows) func(seed int64, k int) int {
	return func(seed int64, k int) int { return data.Shuffled(seed, len(t.Train), k) }
}

// Head implements [Task]: the scores of the tags of every token, [B, S, tags].
func (t Tagging) Head(scope *model.Scope, in HeadInput) *Node {
	return layers.Dense(scope.In("task"), in.States, len(t.Tags), layers.InitZeros)
}

// Loss implements [Task]: the mean cross-entropy over the tokens that have a tag.
func (t Tagging) Loss(outputs, targets *Node) *Node {
	tagged := ConvertDType(GreaterOrEqual(targets, ZerosLike(targets)), outputs.DType())
	picked := OneHot(Max(targets, ZerosLike(targets)), len(t.Tags), outputs.DType())
	losses := Neg(ReduceSum(Mul(LogSoftmax(outputs), picked), -1)) // [B, S]
	return Div(ReduceAllSum(Mul(losses, tagged)), MaxScalar(ReduceAllSum(tagged), 1))
}

// Right implements [Task].
func (t Tagging) Right(outputs, targets *Node) (right, of *Node) {
	right = ReduceAllSum(ConvertDType(Equal(ArgMax(outputs, -1, dtypes.Int32), targets), outputs.DType()))
	return right, ReduceAllSum(ConvertDType(GreaterOrEqual(targets, ZerosLike(targets)), outputs.DType()))
}

// Answers implements [Task]: the likeliest tag of each token.
func (t Tagging) Answers(outputs *Node) *Node {
	return ConvertDType(ArgMax(outputs, -1, dtypes.Int32), outputs.DType())
}

// Score implements [Task].
func (t Tagging) Score(asked *Rows, answers [][]float32) Scored {
	frequent := t.Tags[t.mostFrequent()]
	predicted := make([][]string, len(answers))
	for i, s := range slices.Concat(t.Test, t.Validation) {
		for _, at := range asked.first[i] {
			predicted[i] = append(predicted[i], t.Tags[int(answers[i][at])])
		}
		for len(predicted[i]) < len(s.Words) {
			predicted[i] = append(predicted[i], frequent)
		}
	}
	scored := Scored{Model: t.measure(t.Test, predicted[:len(t.Test)])}
	if len(t.Validation) > 0 {
		validation := t.measure(t.Validation, predicted[len(t.Test):])
		scored.Validation = &validation
	}
	for i, s := range t.Test {
		scored.Predictions = append(scored.Predictions, Prediction{Example: i, Target: s.Tags, Predicted: predicted[i]})
	}
	return scored
}

func (t Tagging) measure(truth []Sentence, predicted [][]string) Scores {
	tags := make([][]string, len(truth))
	for i, s := range truth {
		tags[i] = s.Tags
	}
	values := runs.Values{}
	for _, name := range t.Metrics {
		values[name] = tagMetrics[name](tags, predicted)
	}
	return Scores{Metrics: values}
}

// mostFrequent is the tag that most words in training have.
func (t Tagging) mostFrequent() int {
	counts := map[string]int{}
	for _, s := range t.Train {
		for _, tag := range s.Tags {
			counts[tag]++
		}
	}
	best := 0
	for i, tag := range t.Tags {
		if counts[tag] > counts[t.Tags[best]] {
			best = i
		}
	}
	return best
}

// Baselines implements [Task]: every word has the tag that it has most often in training, and the most frequent of all if it is
// not there.
func (t Tagging) Baselines() Baselines {
	counts := map[string]map[string]int{}
	for _, s := range t.Train {
		for i, word := range s.Words {
			word = strings.ToLower(word)
			if counts[word] == nil {
				counts[word] = map[string]int{}
			}
			counts[word][s.Tags[i]]++
		}
	}
	frequent := t.Tags[t.mostFrequent()]
	predicted := make([][]string, len(t.Test))
	for i, s := range t.Test {
		for _, word := range s.Words {
			best, seen := frequent, counts[strings.ToLower(word)]
			for _, tag := range t.Tags { // in their order, so that equal counts are decided
				if seen[tag] > seen[best] {
					best = tag
				}
			}
			predicted[i] = append(predicted[i], best)
		}
	}
	return Baselines{Majority: t.measure(t.Test, predicted)}
}

// tagAccuracy is the part of the words whose tag is right.
func tagAccuracy(truth, predicted [][]string) float64 {
	right, n := 0.0, 0.0
	for i, tags := range truth {
		for k, tag := range tags {
			n++
			if predicted[i][k] == tag {
				right++
			}
		}
	}
	return part(right, n)
}
