// SPDX-License-Identifier: Apache-2.0

// Package runs keeps training runs as plain directories: the file system is the store, and a table of results is
// computed from it. It knows nothing of models and links no backend.
//
// A run is a directory named by what decides its numbers: a name and the hash of its configuration. The same
// configuration leads to the same directory, where the run is found finished, or resumed:
//
//	tiny-4e1c6a90b2/
//	  config.json          what it is
//	  metrics.jsonl        what was measured, a line each time
//	  checkpoints/step-…/  where it can go on from
//	  provenance.json      how and where it was made
//	  result.json          what came out; written last
//	  attempts/000001/     who held it, in which attempt, since when
//
// Four promises hold at any moment, whatever dies (they are what the tests of this package are about):
//   - One writer. A process writes to a run while it holds its [Lease]. The lease of a killed process is taken over by
//     the next one, without anything to clean up, and with the next attempt number; every write checks the number first.
//   - Whole files. All documents and checkpoints are made aside, synced, and renamed into place. A checkpoint's manifest
//     has the SHA-256 sums of its files; a damaged one is reported, and the one before is used.
//   - Nothing altered unnoticed. A checkpoint and a result know what the log held, and a result has a checksum of its own.
//   - Nothing lost. A directory that holds something else, or another run, is refused untouched.
//
// The order that resumes exactly, to the byte of metrics.jsonl:
//
//	run, err := store.Create(id, identity)                        // or find it
//	lease, err := run.Acquire()                                   // defer lease.Release()
//	checkpoints := lease.Checkpoints(2)
//	log, err := lease.Metrics()
//	last, found, err := checkpoints.Resume(fit, report)           // fit: log.Holds the mark that was saved
//	err = log.TruncateAfter(last.Step)                            // load last.Dir if found, else begin with step 0, and -1 here
//	for each step: log.Record(step, values); and now and then:
//	    lease.Progress(step, total); log.Sync(); checkpoints.Save(step, write) // with log.Mark()
//	lease.WriteJSON(runs.ProvenanceFile, provenance)
//	lease.WriteSealed(runs.ResultFile, result)                    // last: it means finished; with log.Mark() as "log"
package runs
