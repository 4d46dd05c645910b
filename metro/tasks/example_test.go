// SPDX-License-Identifier: Apache-2.0

package tasks_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"

	"metrolab/metro"
	"metrolab/metro/backend"
	"metrolab/metro/recipes"
	"metrolab/metro/runs"
	"metrolab/metro/tasks"
	"metrolab/metro/tokens/wordpiece"
	"metrolab/metro/training"
)

// A small model learns to tell praise from complaint. It starts from random weights; with [training.LoadPretrained] in
// place of the literal it would start from a run.
func ExampleFinetune() {
	task := tasks.Classification{Name: "toy", Source: "a toy", Classes: []string{"complaint", "praise"}}
	for i := range 80 {
		text := fmt.Sprintf("delivery %d was %s and the wrapping %s", i, []string{"slow", "quick"}[i%2], []string{"poor", "fine"}[i%2])
		if i < 60 {
			task.Train = append(task.Train, tasks.Example{Text: text, Class: i % 2})
		} else {
			task.Test = append(task.Test, tasks.Example{Text: text, Class: i % 2})
		}
	}
	words := []string{"delivery was slow", "delivery was quick", "and the wrapping poor", "and the wrapping fine", "0 1 2 3 4 5 6 7 8 9"}
	tokenizer, err := wordpiece.Train(slices.Values(words), wordpiece.Options{VocabSize: 60, MinFrequency: 1, Lowercase: true})
	if err != nil {
		log.Fatal(err)
	}
	model := training.Pretrained{
		Model:     metro.Model{Config: recipes.Micro(), Vocab: tokenizer.VocabSize(), PadID: tokenizer.Special().PAD},
		Tokenizer: tokenizer,
	}
	be, err := backend.Open("go")
	if err != nil {
		log.Fatal(err)
	}

	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	runner := &training.Runner{Backend: be, BackendKind: "go", Store: runs.Store{Root: dir}}

	options := tasks.Options{Steps: 40, BatchSize: 8, LearningRate: 5e-3, FromScratch: true}
	result, err := tasks.Finetune(context.Background(), runner, model, task, options, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("balanced accuracy: model %.2f, bag of words %.2f, majority %.2f\n",
		result.Model.BalancedAccuracy, result.BagOfWords.BalancedAccuracy, result.Majority.BalancedAccuracy)
	fmt.Println("confusion:", result.Model.Confusion)
	// Output:
	// balanced accuracy: model 1.00, bag of words 1.00, majority 0.50
	// confusion: [[10 0] [0 10]]
}
