// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"metrolab/metro/runs"
	"metrolab/metro/tokens"
)

// Part is something of a run's folder, and what is wrong with it; nil if it is as it was written.
type Part struct {
	Name string
	Err  error
}

// Verify looks at all of a run whose content is written down elsewhere: the config by its hash, the tokenizer by the config's, each
// checkpoint by its manifest, the result by its checksum, and the log by the result or, of a run under way, by its newest
// checkpoint. Parts that a run has not yet are left out.
func Verify(run *runs.Run) (parts []Part) {
	add := func(name string, err error) { parts = append(parts, Part{name, err}) }
	identity, err := ReadIdentity(run.Dir)
	add(runs.ConfigFile, err)
	checkpoints := runs.Checkpoints{Dir: run.Path(runs.CheckpointsDir)}
	steps, listing := checkpoints.Steps()
	_, there := os.Stat(run.Path(runs.TokenizerFile))
	if begun := len(steps) > 0 || !errors.Is(there, os.ErrNotExist); begun && err == nil { // it is written before the first step
		add(runs.TokenizerFile, sameTokenizer(run, identity))
	}
	if err = listing; err != nil {
		add(runs.CheckpointsDir, err)
	}
	var newest runs.Mark
	for _, step := range steps {
		checkpoint, _, err := checkpoints.At(step)
		if err == nil {
			var s state
			if s, err = readState(checkpoint.Dir); err == nil {
				newest = s.Log
			}
		}
		add(filepath.Join(runs.CheckpointsDir, fmt.Sprintf("step-%08d", step)), err)
	}
	result, finished, err := ReadResult(run)
	if finished || err != nil {
		add(runs.ResultFile, err)
	}
	if finished && result.Log != (runs.Mark{}) {
		newest = result.Log
	}
	if newest != (runs.Mark{}) {
		add(runs.MetricsFile, run.Holds(newest))
	}
	return parts
}

func sameTokenizer(run *runs.Run, identity RunIdentity) error {
	path := run.Path(runs.TokenizerFile)
	tokenizer, err := tokens.Load(path)
	if err == nil && tokenizer.Hash() != identity.Tokenizer {
		err = fmt.Errorf("%s has the hash %.10s, and %s says %.10s", path, tokenizer.Hash(), runs.ConfigFile, identity.Tokenizer)
	}
	return err
}
