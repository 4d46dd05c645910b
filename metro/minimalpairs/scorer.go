// SPDX-License-Identifier: Apache-2.0

package minimalpairs

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Scorer gives sentences numbers: the higher, the more acceptable.
type Scorer interface {
	Name() string
	// Score returns a number a sentence. The same sentence has the same number wherever it stands. The function progress,
	// which may be nil, hears how far it is.
	Score(ctx context.Context, sentences []string, progress func(done, total int)) ([]float64, error)
}

// Outcome is what a scorer says of a pair.
type Outcome int8

// The outcomes.
const (
	Wrong Outcome = -1
	Tie   Outcome = 0
	Right Outcome = 1
)

// Outcomes are by paradigm and pair, in the order of the set.
type Outcomes [][]Outcome

// Compare asks a scorer about every pair of a set. Each sentence is scored once, so that equal ones tie.
func Compare(ctx context.Context, set *Set, s Scorer, progress func(done, total int)) (Outcomes, error) {
	sentences := set.Sentences()
	scores, err := s.Score(ctx, sentences, progress)
	if err != nil {
		return nil, fmt.Errorf("score by %s: %w", s.Name(), err)
	}
	of := make(map[string]float64, len(sentences))
	for i, sentence := range sentences {
		of[sentence] = scores[i]
	}
	outcomes := make(Outcomes, len(set.Paradigms))
	for i, p := range set.Paradigms {
		for _, pair := range p.Pairs {
			outcomes[i] = append(outcomes[i], outcome(of[pair.Good], of[pair.Bad]))
		}
	}
	return outcomes, nil
}

func outcome(good, bad float64) Outcome {
	switch {
	case good > bad:
		return Right
	case good < bad:
		return Wrong
	default:
		return Tie
	}
}

// sumOfLogs is Σ log p, added in the order of size: sentences of the same words in another order then tie, which they would not
// if each sum were rounded in an order of its own.
func sumOfLogs(probabilities []float64) (sum float64) {
	slices.Sort(probabilities)
	for _, p := range probabilities {
		sum += math.Log(p)
	}
	return sum
}
