// SPDX-License-Identifier: Apache-2.0

// Package bench measures how fast a machine trains: it is what the command metro bench does.
//
//   - [Step] measures training steps of recipes. They run in the trainer's own loop, on invented tokens, so that what is measured
//     is what metro pretrain does, with its loader, its records and all that the host does between two steps; a backend around
//     the engine's tells how much of the time was compilation and computation. Before each repetition the machine multiplies two
//     large matrices, so that a step's speed can be told in parts of what the machine could do at that moment.
//   - [Components] times attention, sampling, the loader, a checkpoint and so on, each alone, by go-benchmarks.
//   - [Scale] measures what a step costs as one size of the model grows.
//
// Each leaves a [Report], which is written as JSON, shown as tables and drawn as a figure. [Compare] sets two side by side in the
// manner of benchstat. A shared machine is never quiet, so everything is measured several times, in turns where there are several,
// and told as a median with its spread, with the time of the cores beside wall time, and with the load of the machine.
//
// [Count] counts the floating-point operations of a step, part by part. They are those of the matrix products in the compiled
// program, to the last one, which a test makes sure of.
package bench
