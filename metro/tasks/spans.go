// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"cmp"
	"math"
	"slices"

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

// Spans is questions about texts, whose answers stand in the texts: extractive question answering, as in SQuAD.
type Spans struct {
	Name   string
	Source string // where the texts are from, for people
	Stride int    // tokens from one window of a text to the next; 0 is half a window

	Train, Test []Asked
	Validation  []Asked // or none

	Notes []string
}

// Asked is a question, the text that it is about, and what is accepted as an answer.
type Asked struct {
	ID                string
	Question, Context string
	Answers           []Answer // none where the text does not tell (SQuAD 2)
}

// Answer is a piece of a text, from a byte on.
type Answer struct {
	Text  string
	Start int
}

// About implements [Task].
func (t Spans) About() About {
	return About{Name: t.Name, Source: t.Source, Kind: "spans", Metric: "span_f1", TrainTexts: len(t.Train), TestTexts: len(t.Test), Notes: t.Notes}
}

// Check implements [Task].
func (t Spans) Check() error {
	if len(t.Train) == 0 || len(t.Test) == 0 {
		return usererr.New("%s: there are %d questions for training and %d for testing; both need some", t.Source, len(t.Train), len(t.Test))
	}
	for _, q := range slices.Concat(t.Train, t.Test, t.Validation) {
		for _, a := range q.Answers {
			if end := a.Start + len(a.Text); a.Start < 0 || end > len(q.Context) || q.Context[a.Start:end] != a.Text {
				return usererr.New("%s: of question %s, the answer %q does not stand at byte %d of its text of %d bytes", t.Source, q.ID, a.Text, a.Start, len(q.Context))
			}
		}
	}
	return nil
}

// Hash implements [Task].
func (t Spans) Hash() string { return hashOf("spans", t.Stride, t.Train, t.Test, t.Validation) }

// GraphKey implements [Task].
func (t Spans) GraphKey() string { return "spans" }

// Form implements [Task]: targets are where the answer begins and where its last token stands, 0 and 0 for none.
func (t Spans) Form(int) Form {
	return Form{Texts: 1, Least: 2 * leastTokens, Pairs: true, Target: shapes.Make(dtypes.Int32, 2)}
}

// shown is the part of a text that a row shows.
type shown struct {
	from  int           // where in the row its first token stands
	spans []tokens.Span // of its tokens, in the text
	best  []bool        // of each: whether no other row shows more of what stands around it
}

// longestQuestion is how many tokens of a question are read, as in BERT's code.
const longestQuestion = 64

// Encode implements [Task]. A question is as many rows [CLS] question [SEP] text [SEP] as it takes to show all of the text, one
// stride after the other. In a row that does not show the whole answer there is none, as in BERT's code.
func (t Spans) Encode(tokenizer tokens.Tokenizer, seqLen int) (train, asked *Rows) {
	encode := func(questions []Asked) *Rows {
		rows := &Rows{width: 2}
		for i, q := range questions {
			t.encode(rows, tokenizer, seqLen, i, q)
		}
		return rows
	}
	return encode(t.Train), encode(slices.Concat(t.Test, t.Validation))
}

func (t Spans) encode(rows *Rows, tokenizer tokens.Tokenizer, seqLen, i int, q Asked) {
	special := tokenizer.Special()
	question := tokenizer.EncodeIDs(nil, q.Question)
	tokens.Plain(tokenizer, question)
	if most := min(longestQuestion, seqLen/2); len(question) > most {
		question = question[:most]
		rows.cut++
	}
	text := tokenizer.Encode(q.Context)
	ids, spans := text.IDs[1:len(text.IDs)-1], text.Bytes[1:len(text.IDs)-1]
	tokens.Plain(tokenizer, ids)
	room := seqLen - len(question) - 3
	stride := cmp.Or(t.Stride, max(1, room/2))
	stride = min(stride, room)
	windows := data.Windows{SeqLen: seqLen, Special: special, Closed: true}
	for start := 0; ; start += stride {
		end := min(start+room, len(ids))
		row := append(append([]int32{special.CLS}, question...), special.SEP)
		s := shown{from: len(row), spans: spans[start:end], best: make([]bool, end-start)}
		for k := range s.best {
			s.best[k] = mostContext(start+k, start, end, room, stride, len(ids))
		}
		row = append(append(row, ids[start:end]...), special.SEP)
		rows.windows = append(rows.windows, windows.Whole(i, row))
		first, last := s.place(q)
		rows.targets = append(rows.targets, int32(first), int32(last))
		rows.shown = append(rows.shown, s)
		if end == len(ids) {
			return
		}
	}
}

// mostContext reports whether of all windows that show token k the one from start to end shows most around it: BERT's score, the
// smaller of both sides and a hundredth of the window's length.
func mostContext(k, start, end, room, stride, n int) bool {
	score := func(start, end int) float64 {
		return float64(min(k-start, end-1-k)) + 0.01*float64(end-start)
	}
	for other := 0; ; other += stride {
		otherEnd := min(other+room, n)
		if other != start && other <= k && k < otherEnd {
			if a, b := score(other, otherEnd), score(start, end); a > b || a == b && other < start {
				return false
			}
		}
		if otherEnd == n {
			return true
		}
	}
}

// place is where in the row the first of the accepted answers begins and ends; 0 and 0 if it is not shown as a whole.
func (s shown) place(q Asked) (first, last int) {
	if len(q.Answers) == 0 {
		return 0, 0
	}
	a := q.Answers[0]
	begin, end := -1, -1
	for k, span := range s.spans {
		if span.End > a.Start && span.Start < a.Start+len(a.Text) {
			if begin < 0 {
				begin = k
			}
			end = k
		}
	}
	if begin < 0 || s.spans[begin].Start > a.Start || s.spans[end].End < a.Start+len(a.Text) {
		return 0, 0
	}
	return s.from + begin, s.from + end
}

// Order implements [Task]: pass after pass over the rows, each in an order of its own.
func (t Spans) Order(train *Rows) func(seed int64, k int) int {
	return func(seed int64, k int) int { return data.Shuffled(seed, train.Len(), k) }
}

// Head implements [Task]: the scores of every token as the first and as the last of the answer, [B, S, 2], those of padding very
// low: BERT's head.
func (t Spans) Head(scope *model.Scope, in HeadInput) *Node {
	scores := layers.Dense(scope.In("task"), in.States, 2, layers.InitZeros)
	hidden := MulScalar(ConvertDType(LogicalNot(in.NonPad), scores.DType()), -1e9)
	return Add(scores, InsertAxes(hidden, -1))
}

// Loss implements [Task]: the mean of the cross-entropies of the first and of the last token.
func (t Spans) Loss(outputs, targets *Node) *Node {
	of := func(side int) *Node {
		logits := Squeeze(Slice(outputs, AxisRange(), AxisRange(), AxisElem(side)), -1)
		return crossEntropy(logits, Squeeze(Slice(targets, AxisRange(), AxisElem(side)), -1))
	}
	return MulScalar(Add(of(0), of(1)), 0.5)
}

// Right implements [Task]: rows whose first and last token both are found.
func (t Spans) Right(outputs, targets *Node) (right, of *Node) {
	both := ReduceMin(ConvertDType(Equal(ArgMax(outputs, 1, dtypes.Int32), targets), outputs.DType()), -1)
	return ReduceAllSum(both), Scalar(outputs.Graph(), outputs.DType(), float64(targets.Shape().Dim(0)))
}

// Answers implements [Task]: the scores of the first tokens, then of the last ones, [B, 2·S].
func (t Spans) Answers(outputs *Node) *Node {
	s := outputs.Shape()
	return Reshape(Transpose(outputs, 1, 2), s.Dim(0), 2*s.Dim(1))
}

// How answers are chosen, as in BERT's code: of the best so many first and last tokens of each row, no longer than so many
// tokens.
const (
	bestTokens    = 20
	longestAnswer = 30
)

// Score implements [Task]. The answer is the span with the highest sum of scores over all rows of the question, whose first token
// stands in the row that shows most around it. Where training has questions without an answer, there is none if the lowest score
// of none ([CLS]) over the rows is higher.
func (t Spans) Score(asked *Rows, answers [][]float32) Scored {
	questions := slices.Concat(t.Test, t.Validation)
	predicted, scores, none := make([]string, len(questions)), make([]float64, len(questions)), make([]float64, len(questions))
	for i := range questions {
		scores[i], none[i] = math.Inf(-1), math.Inf(1)
	}
	for row, a := range answers {
		i, n := asked.windows[row].Text, len(a)/2
		starts, ends := a[:n], a[n:]
		none[i] = min(none[i], float64(starts[0]+ends[0]))
		s := asked.shown[row]
		for _, first := range best(starts, s) {
			for _, last := range best(ends, s) {
				score := float64(starts[first] + ends[last])
				if last < first || last-first >= longestAnswer || !s.best[first-s.from] || score <= scores[i] {
					continue
				}
				scores[i] = score
				predicted[i] = questions[i].Context[s.spans[first-s.from].Start:s.spans[last-s.from].End]
			}
		}
	}
	if t.withNone() {
		for i := range predicted {
			if none[i] > scores[i] {
				predicted[i] = ""
			}
		}
	}
	scored := Scored{Model: t.measure(t.Test, predicted[:len(t.Test)])}
	if len(t.Validation) > 0 {
		validation := t.measure(t.Validation, predicted[len(t.Test):])
		scored.Validation = &validation
	}
	for i, q := range t.Test {
		var accepted []string
		for _, a := range q.Answers {
			accepted = append(accepted, a.Text)
		}
		scored.Predictions = append(scored.Predictions, Prediction{Example: i, ID: q.ID, Target: accepted, Predicted: predicted[i]})
	}
	return scored
}

// withNone reports whether training has questions without an answer.
func (t Spans) withNone() bool {
	return slices.ContainsFunc(t.Train, func(q Asked) bool { return len(q.Answers) == 0 })
}

// best are the places with the highest scores, of those where the text stands.
func best(scores []float32, s shown) []int {
	places := make([]int, len(s.spans))
	for k := range places {
		places[k] = s.from + k
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return places[:min(len(places), bestTokens)]
}

// measure is SQuAD's official evaluation.
func (t Spans) measure(truth []Asked, predicted []string) Scores {
	exact, overlap := 0.0, 0.0
	for i, q := range truth {
		e, f := answerScores(q.Answers, predicted[i])
		exact, overlap = exact+e, overlap+f
	}
	n := float64(len(truth))
	return Scores{Metrics: runs.Values{"exact_match": part(exact, n), "span_f1": part(overlap, n)}}
}

// Baselines implements [Task]: never an answer.
func (t Spans) Baselines() Baselines {
	return Baselines{Majority: t.measure(t.Test, make([]string, len(t.Test)))}
}
