// SPDX-License-Identifier: Apache-2.0

// Package training trains a [metro.Model]: one compiled step (forward, gradients, clip, AdamW), the learning-rate
// schedule, the loop with its records, held-out evaluation, checkpoints and exact resume.
//
// Everything random or scheduled is a function of (seed, step) and enters the step as an input. So a run that was
// killed and resumed is the run that was not, bit for bit, and runs that differ only in seeds and weights of losses
// share one [Program].
package training
