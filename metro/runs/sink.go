// SPDX-License-Identifier: Apache-2.0

package runs

import "errors"

// Sink takes what a run measures while it trains. A run's log, [Metrics], is one.
type Sink interface {
	// Record takes the values of a step, by their keys, and leaves them as they are. Steps do not go back, but for a run
	// that is resumed, which goes on after its last checkpoint.
	Record(step int, values Values) error
}

// Sinks hands each record to all of them, in their order, and joins their errors.
type Sinks []Sink

// Record implements [Sink].
func (s Sinks) Record(step int, values Values) error {
	errs := make([]error, len(s))
	for i, sink := range s {
		errs[i] = sink.Record(step, values)
	}
	return errors.Join(errs...)
}
