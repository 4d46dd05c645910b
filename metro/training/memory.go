// SPDX-License-Identifier: Apache-2.0

package training

import (
	"strings"

	"metrolab/internal/machine"
	"metrolab/internal/usererr"
	"metrolab/metro"
)

// fits makes sure that a machine with so much memory, 0 for not known, could train c at all: what is far too large would end
// the program, not the run.
func fits(c metro.Config, memory uint64) error {
	weights, step := c.Memory(c.Data.VocabSize)
	if need := weights + step; memory > 0 && need > float64(memory) {
		const giga = 1e9
		return usererr.New("a model of this size needs %.3g GB at least, %.3g GB of them for %.3g million weights and %.3g GB for a step of %d rows in %d parts and an evaluation of %d; this machine has %.3g GB. "+
			"Make main.width, main.layers, generator.size, data.seq_len, training.batch_size or evaluation.rows smaller, or training.accumulate larger",
			need/giga, weights/giga, c.Parameters(c.Data.VocabSize)/1e6, step/giga, c.Training.BatchSize, c.Training.Accumulate, c.Evaluation.Rows, float64(memory)/giga)
	}
	return nil
}

// fits is that for the machine at hand, whose devices share a step. A GPU has a memory of its own, of which its plugin says when it
// is full.
func (r *Runner) fits(c metro.Config) error {
	if err := dividesRows(c, r.Devices); err != nil {
		return err
	}
	return fits(c, machine.MemoryLimit())
}

// outOfMemory marks what a backend says that has no memory left as the user's to mend.
func outOfMemory(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ToLower(err.Error())
	for _, sign := range []string{"resource_exhausted", "out of memory", "failed to allocate"} {
		if strings.Contains(text, sign) {
			return usererr.New("a step does not fit into the memory of the device; make training.batch_size or data.seq_len smaller, training.accumulate larger, or set training.activation_checkpointing=true: %w", err)
		}
	}
	return err
}
