// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/runs"
	"metrolab/metro/training"
	"metrolab/notebooks/lab/internal/cell"
	"metrolab/notebooks/view"
)

// orderVariable holds a background program's order. It is the cell's own program, started again: so what the cell has
// registered, an objective of one's own, is there too.
const orderVariable = "METROLAB_BACKGROUND"

type order struct {
	Name   string       `json:"name"`
	Config metro.Config `json:"config"`
}

// Start trains config in the background, in a process of its own that outlives the cell and the kernel, and returns the
// run at once; [view.Follow] watches it and [view.Stop] stops it. A run that is finished, or under way, is returned as it is.
//
// The process is this cell's program, started again: it comes as far as [Open] and trains there, so register what the
// config names before Open.
func (l *Lab) Start(name string, config metro.Config) *view.Run {
	ctx, cancel := cell.Interruptible()
	defer cancel()
	return view.Load(view.Must(Background(ctx, l.Runner, name, config)))
}

// Background is [Lab.Start] of a program that comes as far as [Open] when it is started again.
func Background(ctx context.Context, runner *training.Runner, name string, config metro.Config) (*runs.Run, error) {
	job, err := runner.Open(ctx, name, config)
	if err != nil {
		return nil, err
	}
	if job.Summary().State == runs.Interrupted { // neither finished nor under way
		err = start(job.Run, order{name, config})
	}
	return job.Run, err
}

func start(run *runs.Run, o order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	program, dir, err := keepProgram()
	if err != nil {
		return fmt.Errorf("start %s in the background: %w", run.ID, err)
	}
	defer os.RemoveAll(dir) // what runs needs its name no longer
	log, err := os.Create(run.Path(view.LogFile))
	if err != nil {
		return fmt.Errorf("start %s in the background: %w", run.ID, err)
	}
	defer log.Close()
	cmd := exec.Command(program)
	cmd.Stdout, cmd.Stderr = log, log
	cell.Detach(cmd)
	cmd.Env = append(cmd.Env, orderVariable+"="+string(text))
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s in the background: %w", run.ID, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return awaitStart(run, ended)
}

// keepProgram links or copies this program into a folder of its own, since the kernel overwrites the cell's program with the
// next. The folder's name cannot be foretold and nobody else may write to it, so nothing can lie there in wait. It may be
// removed once the program has been started.
func keepProgram() (program, dir string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	if dir, err = os.MkdirTemp("", "metrolab-background-"); err != nil {
		return "", "", err
	}
	program = filepath.Join(dir, "program")
	if os.Link(self, program) == nil {
		return program, dir, nil
	}
	text, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(program, text, 0o700)
	}
	if err != nil {
		os.RemoveAll(dir)
	}
	return program, dir, err
}

// awaitStart waits until the run is held, or says why it is not.
func awaitStart(run *runs.Run, ended <-chan error) error {
	const patience = 30 * time.Second
	for began := time.Now(); time.Since(began) < patience; {
		select {
		case <-ended:
			if run.Summary().State == runs.Finished {
				return nil
			}
			text, _ := os.ReadFile(run.Path(view.LogFile))
			return usererr.New("%s did not start: %s", run.ID, strings.TrimSpace(string(text)))
		case <-time.After(50 * time.Millisecond):
		}
		if run.Summary().State == runs.Running {
			return nil
		}
	}
	return usererr.New("%s has not begun to train after %s; look at %s", run.ID, patience, run.Path(view.LogFile))
}

// Ordered reports whether this program was started by [Background]: then [Open] trains, and does not return.
func Ordered() bool {
	_, ok := ordered()
	return ok
}

// ordered returns the order of a background program, if this is one.
func ordered() (o order, ok bool) {
	text := os.Getenv(orderVariable)
	if text == "" {
		return o, false
	}
	view.Check(json.Unmarshal([]byte(text), &o))
	return o, true
}

// carryOut trains and ends the program.
func (l *Lab) carryOut(o order) {
	ctx, stop := cell.Interruptible()
	defer stop()
	result, err := l.Runner.Run(ctx, o.Name, o.Config, nil)
	switch {
	case errors.Is(err, training.ErrInterrupted):
		fmt.Println(err)
	case err != nil:
		fmt.Println(err)
		os.Exit(1)
	case result.Diverged != "":
		fmt.Println(result.Diverged)
	}
	os.Exit(0)
}
