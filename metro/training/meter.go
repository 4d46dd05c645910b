// SPDX-License-Identifier: Apache-2.0

package training

import (
	"sync"
	"time"

	"metrolab/internal/machine"
)

// meter shares what the process takes of the machine among the runs that it trains at a time. What of the process's work is
// whose nobody knows, so that each of n runs under way has an nth of the processor's time.
type meter struct {
	mu   sync.Mutex
	runs int           // under way
	last time.Duration // processor time of the process when it was shared last
	each time.Duration // that a run has had that was there all the time
}

// process is the meter of this process.
var process meter

// enter tells of a run that begins, and leave of one that ends.
func (m *meter) enter() { m.share(1) }
func (m *meter) leave() { m.share(-1) }

// share shares what was used since the last time, and then changes the number of runs.
func (m *meter) share(change int) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := machine.ProcessorTime()
	if m.runs > 0 {
		m.each += (now - m.last) / time.Duration(m.runs)
	} else if change > 0 {
		machine.ResetPeakMemory() // so that the peak is of this run, where the system lets it
	}
	m.last, m.runs = now, m.runs+change
	return m.each
}

// processor is what each run under way has had so far: differences of it count.
func (m *meter) processor() time.Duration { return m.share(0) }
