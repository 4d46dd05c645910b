// SPDX-License-Identifier: Apache-2.0

package training

// CopyGenerator starts the main model from the generator's weights, as the loop does between two stages.
func (p *Program) CopyGenerator() error { return p.copyGenerator() }

// Describe says what a frozen set is.
var Describe = describe

// CompileStep compiles the graphs of a step as [CompileStep] does, in the program itself.
func (p *Program) CompileStep(done func(name string, times int) error) error {
	return p.compileStep(done)
}
