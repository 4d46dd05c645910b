// SPDX-License-Identifier: Apache-2.0

// Package lab is for notebook cells that train: one model with a live picture, a model in the background, a whole study.
//
//	l := lab.Open()
//	config := recipes.Tiny()
//	config.Objective.RTDWeight = 10
//	run := l.Train("weight-10", config)
//	notebook.Show(view.Curves("frozen_auc_unigram", run))
//
// A run is found by what decides its numbers. The same call in a later cell, or after a restart, takes the finished run
// from its folder or goes on where it stopped. Interrupting the cell saves, and the picture stays.
//
// A run is forked at a step that it has a checkpoint of: the new one shares every step before, and one picture shows both.
//
//	config.Training.Fork = run.ID + "@400"
//	config.Objective.RTDWeight = 1
//	notebook.Show(view.Curves("frozen_auc_unigram", run, l.Train("weight-1", config)))
//
// A cell that imports it links no engine, and so is built quickly. It asks a worker: a process that holds the engine, the
// compiled programs and the data for all cells and kernels with the same sources, working directory and environment. It is
// started when it is needed, leaves a quarter of an hour after the last request, and can be killed at any time: the next
// cell starts another, and runs go on from their last checkpoint. A cell that trains with a part of its own, an objective
// say, opens package metrolab/notebooks/lab/local instead: the worker has no such part.
//
// Its functions do not return errors. What goes wrong ends the cell with one line that says what to do.
package lab
