// SPDX-License-Identifier: Apache-2.0

package training

// CopyGenerator starts the main model from the generator's weights, as the loop does between two stages.
func (p *Program) CopyGenerator() error { return p.copyGenerator() }

// BeginWithOrigins puts the weights of the models that the config names over those that were drawn, as a run begins.
func (w *Pretraining) BeginWithOrigins(p *Program) (err error) {
	if w.origins, err = loadOrigins(w.model.Config); err != nil {
		return err
	}
	return w.Begin(p)
}

// Describe says what a frozen set is.
var Describe = describe

// CompileStep compiles the graphs of a step as [CompileStep] does, in the program itself.
func (p *Program) CompileStep(done func(name string, times int) error) error {
	return p.compileStep(done)
}
