// SPDX-License-Identifier: Apache-2.0

package tasks

import (
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

// Early is the evaluation of a fine-tuning that is best on the validation texts.
type Early struct {
	Step      int
	Dev, Test float64 // the task's metric on the validation and on the test texts then
}

// EarlyChoice looks in the records of a fine-tuning for the evaluation, of those that training.eval_every has asked for, that is best
// on the validation texts; ok is false if there are no such texts, or no evaluation before the last. The test texts have no part
// in the choice.
func EarlyChoice(r Result) (best Early, ok bool, err error) {
	rows, err := runs.ReadMetrics(r.Run.Path(runs.MetricsFile))
	if err != nil {
		return best, false, err
	}
	evaluations := 0
	for _, row := range rows {
		dev, measured := row.Values["dev_"+r.Metric]
		if !measured {
			continue
		}
		if evaluations++; evaluations == 1 || dev > best.Dev {
			best = Early{row.Step, dev, row.Values["test_"+r.Metric]}
		}
	}
	return best, evaluations > 1, nil
}

// Predict answers the test examples with the weights that a fine-tuning has ended with; what was not trained yet is the user's
// error. See [Finetune].
func Predict(r *training.Runner, p training.Pretrained, t Task, o Options) (predictions []Prediction, err error) {
	job, err := Open(r, p, t, o)
	if err != nil {
		return nil, err
	}
	err = job.Revisit(func(w training.Workload, program *training.Program) error {
		f := w.(*finetuning)
		answers, err := f.answers(program, f.asked)
		if err == nil {
			predictions = f.task.Score(f.asked, answers).Predictions
		}
		return err
	})
	return predictions, err
}
