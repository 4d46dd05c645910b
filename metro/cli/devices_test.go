// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/backendtest"
)

// What devices cannot do is one sentence and the user's to mend, and leaves no folder; what computes on one device refuses more.
func TestDevicesThatAreRefused(t *testing.T) {
	backendtest.XLA(t) // or the test is skipped
	l := newLab(t)
	pretrain := []string{"pretrain", "--recipe", "micro", "--corpus", l.text}
	for want, flags := range map[string][]string{
		"--devices 0: it is a whole number from 1 on":                  append(pretrain, "--devices", "0"),
		"both say it; leave one out":                                   append(pretrain, "--devices", "2", "--backend", "xla:cpu,devices=2"),
		"devices=2: pure Go has one device":                            append(pretrain, "--devices", "2"),
		"devices=65: the processor is divided into 64 devices at most": append(pretrain, "--devices", "65", "--backend", "xla:cpu"),
		"3 devices cannot share 8 rows":                                append(pretrain, "--devices", "3", "--backend", "xla:cpu"),
		"only trainings on several; leave it out of the backend":       {"bench", "step", "--recipe", "micro", "--backend", "xla:cpu,devices=2"},
	} {
		_, said, code := l.inProcess(t.Context(), flags...)
		require.Equal(t, exitUser, code, said)
		require.Contains(t, said, want)
		require.NoDirExists(t, l.dir+"/runs")
	}
	stdout, said, code := l.inProcess(t.Context(), "doctor", "--corpus", l.text, "--backend", "xla:cpu", "--devices", "4")
	require.Zero(t, code, said)
	require.Contains(t, stdout, "4, parts of the processor, which share the rows of each step")
}
