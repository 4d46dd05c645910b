// SPDX-License-Identifier: Apache-2.0

package runs

import (
	"errors"
	"fmt"
	"os"
	"time"

	"metrolab/internal/usererr"
)

// Summary says where the run stands.
func (r *Run) Summary() Summary { return r.summary() }

// Interrupt asks the process that holds the run to stop, as Ctrl-C does: it finishes its step, saves, and lets the run go.
// It does not wait. A run that nobody trains, and one that is trained on another machine or by another user, are the user's
// errors.
func (r *Run) Interrupt() error {
	last, err := r.lastRecord()
	if err != nil {
		return fmt.Errorf("interrupt run %q: %w", r.ID, err)
	}
	if !r.store.live(last) {
		return usererr.New("nobody is training run %q; its last step is %d of %d", r.ID, last.Step, last.Total)
	}
	if !r.store.self().sees(last.process) || last.process.state() != alive {
		return usererr.New("run %q is trained by process %d on %s, which cannot be reached from here; its last sign of life was at %s",
			r.ID, last.PID, last.Host, last.Heartbeat.Format(time.DateTime))
	}
	holder, err := os.FindProcess(last.PID)
	if err == nil {
		err = holder.Signal(os.Interrupt)
	}
	switch {
	case errors.Is(err, os.ErrProcessDone): // it has ended by itself
		return nil
	case errors.Is(err, os.ErrPermission):
		return usererr.New("run %q is trained by process %d of another user: %w", r.ID, last.PID, err)
	case err != nil:
		return fmt.Errorf("interrupt run %q, process %d: %w", r.ID, last.PID, err)
	}
	return nil
}
