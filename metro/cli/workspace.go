// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"metrolab/internal/humanize"
	"metrolab/metro"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
)

var errInterrupted = training.ErrInterrupted

// workspaceFlags choose what most commands work on: corpus, backend, and the folder of runs.
type workspaceFlags struct {
	corpus, backend, out string
}

func (w *workspaceFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.corpus, "corpus", text.Default, "text to train on: godoc (this machine's Go documentation), a .txt, .md or .txt.gz file, a folder of them, or a prepared corpus")
	cmd.Flags().StringVar(&w.backend, "backend", "auto", "auto, go, xla, xla:cuda, or xla:/path/to/plugin.so")
	cmd.Flags().StringVar(&w.out, "out", "runs", "folder of the runs")
}

// named returns c with the text that --corpus names written down in it, unless it names one of its own. The path decides
// nothing, what lies there does.
func (w *workspaceFlags) named(c metro.Config) metro.Config {
	if c.Data.Corpus == "" && w.corpus != text.Default {
		c.Data.Corpus = w.corpus
	}
	return c
}

// open makes a runner: backend, corpus, store. It says what it picked.
func (w *workspaceFlags) open(ctx context.Context) (*training.Runner, error) {
	bar := newBar("preparing text")
	defer bar.finish()
	runner, err := workspace.Open(ctx, workspace.Options{
		Backend: w.backend, Corpus: w.corpus, Runs: w.out,
		Said: func(line string) { fmt.Fprintln(os.Stderr, line) }, Progress: bar.set,
	})
	if err != nil {
		return nil, err
	}
	bar.finish()
	total := runner.Corpus.Stats.Total()
	fmt.Fprintf(os.Stderr, "corpus: %s, %s paragraphs, %s words\n", runner.Corpus.Source, humanize.Count(total.Documents), humanize.Count(total.Words))
	return runner, nil
}

// prepareCorpus shows a bar while a corpus is made; one that was made before is there at once.
func prepareCorpus(ctx context.Context, spec string) (*text.Corpus, error) {
	bar := newBar("preparing text")
	defer bar.finish()
	return text.Prepare(ctx, spec, "", bar.set)
}
