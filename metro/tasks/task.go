// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/tokens"
)

// Task is what a pretrained main model is taught and asked. It makes rows of its examples, puts a head on the main model's
// states, and scores the answers; how the model is trained is no concern of its. There is one for each kind of question:
// [Classification], [Regression], [Choice], [Tagging], [Spans] and [Cloze].
type Task interface {
	// About says what the task is, for people and for results.
	About() About
	// Check returns the user's error for a task that nothing can be learned or measured on.
	Check() error
	// Hash is of all that decides what is learned and what is measured.
	Hash() string
	// GraphKey names the graphs that the task builds, whatever its examples are.
	GraphKey() string

	// Form says what the rows of a model that reads seqLen tokens look like.
	Form(seqLen int) Form
	// Encode makes rows of the examples, for a model that reads rows of seqLen tokens: those that are trained on, and those
	// that the trained model is asked about.
	Encode(t tokens.Tokenizer, seqLen int) (train, asked *Rows)
	// Order returns the training row that comes k-th, k = 0, 1, …: a pure function of (seed, k).
	Order(train *Rows) func(seed int64, k int) int

	// Head builds the outputs, [B, …], of what the main model says.
	Head(scope *model.Scope, in HeadInput) *Node
	// Loss is the mean over the rows, a scalar, of outputs against their targets.
	Loss(outputs, targets *Node) *Node
	// Right is the number, a scalar, of the outputs that are right, and of how many; nil for a task whose answers are not right or
	// wrong.
	Right(outputs, targets *Node) (right, of *Node)
	// Answers is what Score reads of outputs, [B, A].
	Answers(outputs *Node) *Node

	// Score says how good the answers are that the model gave to the rows it was asked about, [A] each.
	Score(asked *Rows, answers [][]float32) Scored
	// Baselines is what is to be compared with the scores.
	Baselines() Baselines
}

// Form is the shape of a task's rows.
type Form struct {
	Texts   int          // rows of S tokens that an example is read in at once: its choices; 1 for all others
	Pooled  bool         // the head reads whole rows, as task.pooling says
	Pairs   bool         // rows hold two texts, [CLS] a [SEP] b [SEP]
	Target  shapes.Shape // of one example
	Least   int          // tokens that rows must have at least; 0 for any number
	Counted bool         // the loss is a mean over more than rows, so that a step cannot be computed in parts
}

// HeadInput is what a head reads.
type HeadInput struct {
	States *Node // [B, S, H] of the main model; of a task with C choices, [B·C, S, H]
	NonPad *Node // [B, S] bool: where there are real tokens
	Second *Node // [B, S] bool: the second text of a pair, with its [SEP]; nil if there are no pairs
	Key    *Node // of dropout; nil when nothing is trained
	Model  metro.Model
}

// About is a task in words and numbers.
type About struct {
	Name, Source          string
	Kind                  string // "classification", "regression", …
	Metric                string // by which models are compared and settings are chosen; see [Scores.Value]
	Classes               []string
	TrainTexts, TestTexts int
	Notes                 []string // what is to be known of the examples: rows that were passed over, and why
}

// Scored is how good a model's answers are.
type Scored struct {
	Model       Scores
	Validation  *Scores // on the validation texts, by which settings are chosen; nil where there are none
	Predictions []Prediction
}

// Baselines are what knows nothing of pretraining, on the same test texts. What a task has none of is the zero value.
type Baselines struct {
	BagOfWords Scores // a logistic regression on the words of the texts
	TFIDF      Scores // a logistic regression on their TF-IDF features; of pairs that are no classes, their cosine
	Majority   Scores // always the most frequent answer in training
}

// Prediction is a model's answer to one test example, for people and programs.
type Prediction struct {
	Example   int                `json:"example"`      // from 0, in the order of the test texts
	ID        string             `json:"id,omitempty"` // that the task gives it
	Target    any                `json:"target"`
	Predicted any                `json:"predicted"`
	Scores    map[string]float32 `json:"scores,omitempty"` // log-probabilities of the classes
}
