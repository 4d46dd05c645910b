// SPDX-License-Identifier: Apache-2.0

package metro

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// CorrectiveLogits is the corrective language model's head on the main model's states at the masked positions,
// [B, P, H]: h·Eᵀ + b, [B, P, V], no dense map between (COCO-LM). Its simplified loss in METRO is [CrossEntropy]
// against the original tokens, without a copy term, on the corrupted input.
func CorrectiveLogits(scope *model.Scope, states, tokenTable *Node) *Node {
	return tiedLogits(scope, states, tokenTable)
}
