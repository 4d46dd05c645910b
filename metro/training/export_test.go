// SPDX-License-Identifier: Apache-2.0

package training

// CopyGenerator starts the main model from the generator's weights, as the loop does between two stages.
func (p *Program) CopyGenerator() error { return p.copyGenerator() }

// Describe says what a frozen set is.
var Describe = describe
