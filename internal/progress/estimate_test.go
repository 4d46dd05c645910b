// SPDX-License-Identifier: Apache-2.0

package progress

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A run that is resumed at step 500 and makes ten steps in ten seconds needs 490 more for as many steps.
func TestWhatWasFoundDoneDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Estimate
		require.Empty(t, e.Words(1000))
		e.Reach(500)
		require.Zero(t, e.Left(500))
		time.Sleep(10 * time.Second)
		e.Reach(510)
		e.Reach(510)
		require.Equal(t, 490*time.Second, e.Left(490))
		require.Equal(t, "8 min left", e.Words(490))
		time.Sleep(10 * time.Second) // a pause counts
		require.Equal(t, 980*time.Second, e.Left(490))
		require.Empty(t, e.Words(0))
	})
}

// Units may be bytes, of which there are many.
func TestGigabytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Estimate
		e.Reach(1)
		time.Sleep(10 * time.Minute)
		e.Reach(1 + 5<<30)
		require.Equal(t, "20 min left", e.Words(10<<30))
	})
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		300 * time.Millisecond: "0 s", 89 * time.Second: "89 s", 90 * time.Second: "2 min", 12 * time.Minute: "12 min", 210 * time.Minute: "3.5 h",
	} {
		require.Equal(t, want, Duration(d))
	}
}
