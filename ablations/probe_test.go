// SPDX-License-Identifier: Apache-2.0

package ablations

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/metro/text"
	"metrolab/metro/training"
)

// The probe goes through the pretrained model and the one from scratch, and its bars get into the report.
func TestProbe(t *testing.T) {
	dir := t.TempDir()
	for _, family := range text.Families { // the folder's name is the label
		var prose strings.Builder
		for i := range 200 {
			fmt.Fprintf(&prose, "Paragraph %d says what %s is about, and %d more words.\n\n", i, family, i%7)
		}
		path := filepath.Join(dir, family, "doc.txt")
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(prose.String()), 0o600))
	}
	runner := labOn(t, dir)
	s := small()
	s.Changes, s.Seeds = s.Changes[:1], s.Seeds[:1]
	results, err := s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)

	var begun, steps int
	figure, err := results.Probe(t.Context(), runner, func(p training.Progress) {
		if p.Phase == "compiling" {
			begun++
		}
		steps = max(steps, p.Step)
	})
	require.NoError(t, err)
	require.Equal(t, 2, begun)
	require.Equal(t, 3*s.Baseline.Training.Steps, steps, "three learning rates each")
	require.Contains(t, figure.Alt, "from scratch")
	require.Contains(t, figure.Caption, "best of three on the validation split")

	results.Extra.Add(*figure)
	files, err := results.Write(filepath.Join(runner.Store.Root, s.Name))
	require.NoError(t, err)
	require.Equal(t, "probe.png", filepath.Base(files.Figures[len(files.Figures)-1]))

	s.Seeds = []int64{s.Seeds[0] + 1, s.Seeds[0]} // a seed more is no other probe
	more, err := s.Run(t.Context(), runner, 1, nil)
	require.NoError(t, err)
	again, err := more.Probe(t.Context(), runner, func(training.Progress) { t.Error("trained again") })
	require.NoError(t, err)
	require.Equal(t, figure.PNG, again.PNG)

	nobody, err := Results{Study: s}.Probe(t.Context(), runner, nil)
	require.NoError(t, err)
	require.Nil(t, nobody, "no run of the baseline has ended")
}
