// SPDX-License-Identifier: Apache-2.0

// Package serve is a local page over a folder of runs: what there is, how runs and studies under way stand, their curves, tables
// and verdicts. A page is made from the disk whenever it is asked for, so that it shows what any process trains, also one that
// began before, and one on another machine that shares the folder. It loads nothing from elsewhere, changes nothing, and
// answers only to the names of the machine's own loopback interface, so that no page of another site can read it through the
// browser.
package serve
