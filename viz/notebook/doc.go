// SPDX-License-Identifier: Apache-2.0

// Package notebook shows figures and tables below the cells of a GoNB notebook: [Show] once, [Live] while a cell trains.
// Outside a notebook the same calls write pictures to [Dir] and print tables.
//
// It is the only package of this project that talks to the notebook; what it shows comes from metrolab/viz and
// metrolab/viz/table.
package notebook
