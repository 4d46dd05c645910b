// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A run that has hardly begun is on its plateau, and is told what brings runs over it; a text that is not the run's gives no
// anchors.
func TestDiagnose(t *testing.T) {
	l := newLab(t)
	_, said, code := l.inProcess(t.Context(), "pretrain", "--recipe", "micro", "--set", "training.steps=12", "--set", "training.log_every=4", "--corpus", "text.txt")
	require.Zero(t, code, said)
	run := l.onlyRun("runs")
	out, said, code := l.inProcess(t.Context(), "diagnose", filepath.Base(run))
	require.Zero(t, code, said)
	for _, what := range []string{"RTD loss", "plateau", "trigrams", "gradient norm", "token_position", "docs/results.md, tiny learns"} {
		require.Contains(t, out, what)
	}
	l.write("text.txt", l.read("text.txt")+"\n\nThe last paragraph is another one, and so is the text that it ends.\n")
	out, said, code = l.inProcess(t.Context(), "diagnose", run)
	require.Zero(t, code, said)
	require.Contains(t, said, "is not the text that the run was trained on")
	require.Contains(t, out, "its text is not at hand")
	_, said, code = l.inProcess(t.Context(), "diagnose", "nothing-0123456789")
	require.Equal(t, exitUser, code, said)
}
