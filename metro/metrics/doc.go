// SPDX-License-Identifier: Apache-2.0

// Package metrics says of every number that a run records what it is: its name for people, what it means, how it is
// printed, and which way is good. Tables, figures and reports take their words from here.
//
//	m := metrics.Of("val_generator_loss")
//	fmt.Printf(m.Label+": "+m.Format, value)
//
// A number that is not in the table, such as that of a metric or an objective of one's own, is called by its key. The
// package links nothing, so a notebook's cell that only draws can use it.
package metrics
