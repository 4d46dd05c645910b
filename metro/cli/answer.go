// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"math"

	"metrolab/metro/tasks"
	"metrolab/metro/training"
)

// question is a line of the input.
type question struct {
	Text *string `json:"text"`
	IDs  []int32 `json:"ids"`
}

// answer is a line of the output.
type answer struct {
	Tokens      []string      `json:"tokens,omitzero"` // nil for a model without a tokenizer
	IDs         []int32       `json:"ids"`
	RTDLogits   []float32     `json:"rtd_logits,omitempty"`
	RTDProb     []float64     `json:"rtd_prob,omitempty"`
	ExitLayers  []int32       `json:"exit_layers,omitempty"`
	Corrections [][]guessLine `json:"corrections,omitempty"`
	Generator   [][]guessLine `json:"generator,omitempty"`
	Hidden      [][]float32   `json:"hidden,omitempty"`
}

type guessLine struct {
	Token string  `json:"token,omitempty"`
	ID    int32   `json:"id"`
	Prob  float32 `json:"prob"`
}

// ask asks the model questions of one kind, texts or ids.
func ask(ctx context.Context, reader *tasks.Reader, questions []question) ([]tasks.Reading, error) {
	var texts []string
	var rows [][]int32
	for _, q := range questions {
		if q.Text != nil {
			texts = append(texts, *q.Text)
		} else {
			rows = append(rows, q.IDs)
		}
	}
	if texts != nil {
		return reader.Texts(ctx, texts...)
	}
	return reader.Rows(ctx, rows...)
}

// answerOf is the line of a reading.
func answerOf(r tasks.Reading, model training.Pretrained) answer {
	a := answer{IDs: r.IDs, RTDLogits: r.RTDLogits, ExitLayers: r.ExitLayers, Hidden: r.Hidden}
	if a.IDs == nil {
		a.IDs = []int32{}
	}
	token := func(int32) string { return "" }
	if model.Tokenizer != nil {
		token, a.Tokens = model.Tokenizer.Token, []string{}
		for _, id := range r.IDs {
			a.Tokens = append(a.Tokens, token(id))
		}
	}
	for _, z := range r.RTDLogits {
		a.RTDProb = append(a.RTDProb, 1/(1+math.Exp(-float64(z))))
	}
	named := func(lists [][]tasks.Guess) (named [][]guessLine) {
		for _, list := range lists {
			var line []guessLine
			for _, g := range list {
				line = append(line, guessLine{token(g.ID), g.ID, g.Prob})
			}
			named = append(named, line)
		}
		return named
	}
	a.Corrections, a.Generator = named(r.Corrections), named(r.Generator)
	return a
}
