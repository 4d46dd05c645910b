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
	loss := p.Loss
	if math.Abs(loss) < 0.0005 {
		loss = 0 // where nothing is left to learn a sum may be -1e-9, which would be -0.000
	}
	words := fmt.Sprintf("loss %.3f", loss)
	if p.TokensPerSecond > 0 {
		words += fmt.Sprintf(", %s tokens/s", humanize.Comma(int64(p.TokensPerSecond)))
	}
	return words
}
