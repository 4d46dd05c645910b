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
// Its functions do not return errors. What goes wrong ends the cell with one line that says what to do.
package lab
