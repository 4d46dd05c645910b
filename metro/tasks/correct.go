// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"context"
	"math"
	"slices"

	"metrolab/internal/usererr"
	"metrolab/metro/tokens"
)

// Word is a word of a text, as the model sees it.
type Word struct {
	Text string
	Span tokens.Span // in bytes
	Prob float64     // that some piece of it was replaced
	// Correction is what the model would write in its place, "" where it is not suspicious. It may be the word itself.
	Correction string
	Unknown    bool // the tokenizer has no piece for it, so that it is never suspicious
}

// Correct finds the words of text that are more likely than threshold to be wrong, and writes for each what stood there
// before: the corrective head's best guess for each suspicious piece, a beginning of a word for a beginning and a
// continuation for a continuation, or, in a model without that head (ELECTRA), the
// generator's, which is shown the text with [MASK] there. A model without RTD is the user's error.
func (r *Reader) Correct(ctx context.Context, text string, threshold float64) ([]Word, error) {
	if r.noMain != nil {
		return nil, r.noMain
	}
	if !slices.Contains(r.heads, "rtd") {
		return nil, usererr.New("the model was trained without replaced token detection, so it cannot say which words are wrong")
	}
	readings, err := r.texts(ctx, []string{text})
	if err != nil {
		return nil, err
	}
	reading := readings[0]
	suspicious := make([]bool, len(reading.IDs))
	for i, logit := range reading.RTDLogits {
		suspicious[i] = sigmoid(logit) > threshold && !r.tokens.IsSpecial(reading.IDs[i])
	}
	written, err := r.corrected(ctx, reading, suspicious)
	if err != nil {
		return nil, err
	}
	var words []Word
	for first := 0; first < len(reading.IDs); {
		end := first + 1
		for end < len(reading.IDs) && r.tokens.IsContinuation(reading.IDs[end]) {
			end++
		}
		words = append(words, r.word(text, reading, first, end, suspicious, written))
		first = end
	}
	return words, nil
}

// word describes the tokens first … end−1.
func (r *Reader) word(text string, reading Reading, first, end int, suspicious []bool, written []int32) Word {
	span := tokens.Span{Start: reading.Spans[first].Start, End: reading.Spans[end-1].End}
	w := Word{Text: text[span.Start:span.End], Span: span, Unknown: true}
	for i := first; i < end; i++ {
		w.Unknown = w.Unknown && r.tokens.IsSpecial(reading.IDs[i])
		w.Prob = max(w.Prob, sigmoid(reading.RTDLogits[i]))
		if suspicious[i] {
			w.Correction = r.tokens.Decode(written[first:end])
		}
	}
	return w
}

// corrected returns the ids with the model's guesses at the suspicious places.
func (r *Reader) corrected(ctx context.Context, reading Reading, suspicious []bool) ([]int32, error) {
	ids, guesses := slices.Clone(reading.IDs), reading.Corrections
	if guesses == nil && slices.Contains(r.heads, "generator") && slices.Contains(suspicious, true) {
		asked := slices.Clone(reading.IDs)
		for i := range asked {
			if suspicious[i] {
				asked[i] = r.special.MASK
			}
		}
		answer := []Reading{{IDs: asked}}
		if err := r.read(ctx, r.windows().Cut(0, asked), answer); err != nil {
			return nil, err
		}
		guesses = answer[0].Generator
	}
	for i := range ids {
		if suspicious[i] && guesses != nil {
			ids[i] = r.fitting(guesses[i], reading.IDs[i])
		}
	}
	return ids, nil
}

// correctionChoice is how many guesses a correction is chosen from.
const correctionChoice = 32

// fitting returns the best guess that can stand where id does: an ordinary piece that begins a word, or continues one,
// as id does. It is id itself if no guess can.
func (r *Reader) fitting(guesses []Guess, id int32) int32 {
	for _, g := range guesses {
		if !r.tokens.IsSpecial(g.ID) && r.tokens.IsContinuation(g.ID) == r.tokens.IsContinuation(id) {
			return g.ID
		}
	}
	return id
}

func sigmoid(logit float32) float64 { return 1 / (1 + math.Exp(-float64(logit))) }
