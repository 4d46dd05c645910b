// SPDX-License-Identifier: Apache-2.0

// Package progress tells how long work under way will take, in the words of people.
package progress

import (
	"fmt"
	"time"
)

// Estimate tells the time left from what was done while it watched: work that was found done does not count, and pauses
// do, such as those for evaluating. The zero value is ready.
type Estimate struct {
	started time.Time
	done    int // since started
	reached int // see Reach
}

// Add notes n more units done. The clock starts at the first call, since how long those took is not known.
func (e *Estimate) Add(n int) {
	if e.started.IsZero() {
		e.started = time.Now()
		return
	}
	e.done += n
}

// Reach notes that done units are done by now, those found done included.
func (e *Estimate) Reach(done int) {
	if done > e.reached {
		e.Add(done - e.reached)
		e.reached = done
	}
}

// Left is the time that the remaining units will take; 0 while that is not known.
func (e *Estimate) Left(remaining int) time.Duration {
	if e.done == 0 || remaining <= 0 {
		return 0
	}
	return time.Duration(float64(time.Since(e.started)) * float64(remaining) / float64(e.done)) // their product overflows for gigabytes
}

// Words is Left in words, such as "3 min left"; empty while it is not known.
func (e *Estimate) Words(remaining int) string {
	left := e.Left(remaining)
	if left == 0 {
		return ""
	}
	return Duration(left) + " left"
}

// Duration writes a time as people say it: 80 s, 12 min, 3.5 h.
func Duration(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 90*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
}
