// SPDX-License-Identifier: Apache-2.0

package tasks_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"metrolab/internal/docs"
	"metrolab/metro/tasks"
)

// Task files that pages print are read as they stand, here with two pairs of sentences a class.
func TestTaskFilesOfPages(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	read := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, b := range docs.Parse(name, string(text)).Blocks {
			if b.Language != "yaml" {
				continue
			}
			read++
			dir := t.TempDir()
			const rows = "sentence1\tsentence2\tgold\none\ttwo\tyes\nthree\tfour\tno\nfive\tsix\tyes\nseven\teight\tno\n"
			for file, content := range map[string]string{"mine.yaml": b.Text.Text + "\n", "train.tsv": rows, "test.tsv": rows} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o666))
			}
			task, err := tasks.Read(filepath.Join(dir, "mine.yaml"), tasks.ReadOptions{})
			require.NoError(t, err, "%s:%d", name, b.Line)
			require.Equal(t, 4, task.About().TrainTexts)
		}
	}
	require.NotZero(t, read)
}
