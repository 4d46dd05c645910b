// SPDX-License-Identifier: Apache-2.0

package training

import (
	"math"
	"path/filepath"
	"slices"

	"github.com/gomlx/gomlx/ml/model"

	"metrolab/metro"
	"metrolab/metro/runs"
)

// The files of a checkpoint.
const (
	variablesFile = "variables.safetensors"
	stateFile     = "state.json"
)

var nan = math.NaN()

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// state is what a checkpoint holds beside the variables. Nothing random is in it: that follows from seed and step.
type state struct {
	Step    int     `json:"step"`
	Tokens  float64 `json:"tokens"`  // real tokens trained on
	Seconds float64 `json:"seconds"` // wall time of all attempts
	Usage
	Window window    `json:"window"`
	Log    runs.Mark `json:"log"` // what the log holds at this step

	LastLoss float64 `json:"last_loss,omitempty"` // mean loss over the last tenth of the steps, as far as they have come
}

// addLoss takes the loss of a step into the mean over the last tenth of them.
func (s *state) addLoss(loss float64, step, steps int) {
	if last := max(1, steps/10); step > steps-last {
		s.LastLoss += loss / float64(last)
	}
}

// window sums up the steps since the last record.
type window struct {
	Tally        metro.Tally `json:"tally"`
	GradientNorm float64     `json:"gradient_norm"` // sum
	Steps        float64     `json:"steps"`
}

func (w *window) add(t metro.Tally, gradientNorm float64) {
	if !slices.Equal(w.Tally.Names, t.Names) {
		*w = window{} // a fork counts other things than the steps before it
	}
	w.Tally = w.Tally.Add(t)
	w.GradientNorm += gradientNorm
	w.Steps++
}

func (w window) metrics() runs.Values {
	values := runs.Values(w.Tally.Metrics())
	values["gradient_norm"] = w.GradientNorm / w.Steps
	return values
}

func writeState(dir string, s state, variables []*model.Variable) error {
	if err := writeVariables(filepath.Join(dir, variablesFile), variables); err != nil {
		return err
	}
	return runs.WriteJSON(filepath.Join(dir, stateFile), s)
}

// readState reads a checkpoint but for its variables, which [readVariables] reads.
func readState(dir string) (s state, err error) {
	return s, runs.ReadJSON(filepath.Join(dir, stateFile), &s)
}
