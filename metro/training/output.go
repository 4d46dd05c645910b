// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"metrolab/metro"
)

// StepOutput is what a step left on the device; nothing is copied to the host before it is asked for.
type StepOutput struct {
	norm  *tensors.Tensor     // nil unless it was a training step
	parts [][]*tensors.Tensor // of each part of the step: tally and, with RTD, logits, labels and original tokens
	names []string            // of the metrics
}

// Tally reads the counts, and the norm of the gradients before clipping if it was a training step.
func (o StepOutput) Tally() (t metro.Tally, gradientNorm float64, err error) {
	for _, part := range o.parts {
		v, err := tensors.CopyFlatData[float32](part[0])
		if err != nil {
			return t, 0, fmt.Errorf("read the step's counts: %w", err)
		}
		t = t.Add(metro.ReadTally(v, o.names))
	}
	if o.norm != nil {
		norm, err := tensors.CopyFlatData[float32](o.norm)
		if err != nil {
			return t, 0, fmt.Errorf("read the gradient norm: %w", err)
		}
		gradientNorm = float64(norm[0])
	}
	return t, gradientNorm, nil
}

// Detections reads logits and labels of the tokens that counts says to count, in row-major order; none if there is no RTD.
func (o StepOutput) Detections(counts func(id int32) bool) (logits []float32, replaced []bool, err error) {
	for _, part := range o.parts {
		if len(part) == 1 {
			return nil, nil, nil
		}
		all, err := tensors.CopyFlatData[float32](part[1])
		if err != nil {
			return nil, nil, fmt.Errorf("read the RTD logits: %w", err)
		}
		labels, err := tensors.CopyFlatData[bool](part[2])
		if err != nil {
			return nil, nil, fmt.Errorf("read the RTD labels: %w", err)
		}
		originals, err := tensors.CopyFlatData[int32](part[3])
		if err != nil {
			return nil, nil, fmt.Errorf("read the original tokens: %w", err)
		}
		for i, id := range originals {
			if counts(id) {
				logits, replaced = append(logits, all[i]), append(replaced, labels[i])
			}
		}
	}
	return logits, replaced, nil
}

// Release frees the device memory.
func (o StepOutput) Release() {
	if o.norm != nil {
		o.norm.MustFinalizeAll()
	}
	for _, part := range o.parts {
		for _, t := range part {
			t.MustFinalizeAll()
		}
	}
}
