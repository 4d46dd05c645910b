// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro/tokens"
)

// Task is what a pretrained main model is taught and asked. It makes rows of its examples, puts a head on the main model's
// states, and scores the answers; how the model is trained is no concern of its. [Classification] is the first.
type Task interface {
	// About says what the task is, for people and for results.
	About() About
	// Check returns the user's error for a task that nothing can be learned or measured on.
	Check() error
	// Hash is of all that decides what is learned and what is measured.
	Hash() string
	// GraphKey names the graphs that the task builds, whatever its examples are.
	GraphKey() string

	// Encode makes rows of the examples, for a model that reads rows of seqLen tokens: those that are trained on, and those
	// that the trained model is asked about.
	Encode(t tokens.Tokenizer, seqLen int) (train, asked *Rows)
	// Order returns the training row that comes k-th, k = 0, 1, …: a pure function of (seed, k).
	Order(train *Rows) func(seed int64, k int) int

	// Head builds the outputs, [B, …], of the main model's states, [B, S, H], real where nonPad, [B, S] bool, is true.
	Head(scope *model.Scope, states, nonPad *Node) *Node
	// Loss is the mean over the rows, a scalar, of outputs against their targets, [B] int32.
	Loss(outputs, targets *Node) *Node
	// Right is the number of rows, a scalar, whose outputs are right.
	Right(outputs, targets *Node) *Node
	// Answers is what Score reads of outputs, [B, A].
	Answers(outputs *Node) *Node

	// Score says how good the answers are that the model gave to the rows it was asked about, [A] each, with what is to be compared.
	Score(asked *Rows, answers [][]float32) Scored
}

// About is a task in words and numbers.
type About struct {
	Name, Source          string
	Classes               []string
	TrainTexts, TestTexts int
}

// Scored is how good a model's answers are, beside two that know nothing of pretraining.
type Scored struct {
	Model      Scores
	BagOfWords Scores // a logistic regression on the words of the same texts
	Majority   Scores // always the class with the most training texts

	Validation *Scores // the model on the validation texts, by which settings are chosen; nil where there are none
}
