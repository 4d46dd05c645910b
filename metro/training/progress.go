// SPDX-License-Identifier: Apache-2.0

package training

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
	"metrolab/metro/runs"
)

// Record implements [runs.Sink]: it takes loss and speed from what was measured over training steps.
func (p *Progress) Record(_ int, values runs.Values) error {
	if loss, ok := values["loss"]; ok {
		p.Loss, p.TokensPerSecond = loss, values["tokens_per_second"]
	}
	return nil
}

// String says in words how it goes: "loss 3.142, 12,345 tokens/s", or the phase before the first record.
func (p Progress) String() string {
	if p.Phase == "compiling" || math.IsNaN(p.Loss) {
		return p.Phase
	}
	words := fmt.Sprintf("loss %.3f", p.Loss)
	if p.TokensPerSecond > 0 {
		words += fmt.Sprintf(", %s tokens/s", humanize.Comma(int64(p.TokensPerSecond)))
	}
	return words
}
