// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/text"
	"metrolab/metro/training"
	"metrolab/metro/workspace"
)

// workspaceFlags choose what most commands work on: corpus, backend, and the folder of runs.
type workspaceFlags struct {
	corpus, backend, out string
	devices              deviceCount
}

// backendUsage says what --backend takes.
const backendUsage = "auto, go, xla, xla:cuda, or xla:/path/to/plugin.so; options behind commas, as in xla:cpu,threads=16"

func (w *workspaceFlags) addFlags(cmd *cobra.Command) {
	w.addTextFlags(cmd)
	cmd.Flags().StringVar(&w.out, "out", "runs", "folder of the runs")
}

// addTextFlags adds those of a command that makes no run.
func (w *workspaceFlags) addTextFlags(cmd *cobra.Command) {
	w.addEngineFlags(cmd)
	cmd.Flags().Var(&w.devices, "devices", devicesUsage)
}

// addEngineFlags adds those of a command that computes on one device.
func (w *workspaceFlags) addEngineFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.corpus, "corpus", text.Default, "text to train on: godoc (this machine's Go documentation), a file of text or Markdown in UTF-8, of FASTA, of JSON lines or Parquet whose text --set data.field=NAME names, a folder of them (and of code: --set data.files=go,py), packed by gzip or zstd or not, or a prepared corpus")
	cmd.Flags().StringVar(&w.backend, "backend", "auto", backendUsage)
}

// named returns c with the text that --corpus names written down in it, unless it names one of its own. The path decides
// nothing, what lies there does.
func (w *workspaceFlags) named(c metro.Config) metro.Config {
	if c.Data.Corpus == "" && w.corpus != text.Default {
		c.Data.Corpus = w.corpus
	}
	return c
}

// open makes a runner: backend, corpus, store. It says what it picked. The text is that of d if d names one.
func (w *workspaceFlags) open(ctx context.Context, d metro.Data) (*training.Runner, error) {
	if w.corpus == "" {
		return nil, errNoCorpus
	}
	engine, err := w.devices.of(w.backend)
	if err != nil {
		return nil, err
	}
	bar := newBar("preparing text")
	defer bar.finish()
	runner, err := workspace.Open(ctx, workspace.Options{
		Backend: engine, Corpus: cmp.Or(d.Corpus, w.corpus), Field: d.Field, Files: d.Files, Mixed: d.Mixture != "", Runs: w.out,
		Said: func(line string) { fmt.Fprintln(stderr, line) }, Progress: bar.set,
	})
	if err != nil {
		return nil, err
	}
	bar.finish()
	total := runner.Corpus.Stats.Total()
	fmt.Fprintf(stderr, "corpus: %s, %s paragraphs, %s words\n", runner.Corpus.Source, humanize.Comma(total.Documents), humanize.Comma(total.Words))
	return runner, nil
}

// errNoCorpus is of a name that is empty, which most often is a variable of a script's that nobody has set.
var errNoCorpus = usererr.New("the corpus has an empty name; give %s, a text file, or a folder of text files", text.Default)

// textFlags say how the files of a corpus are read.
type textFlags struct{ field, files string }

func (f *textFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.field, "field", "", "field of JSON objects, or column of Parquet, that holds the text")
	cmd.Flags().StringVar(&f.files, "files", "", "ends of names of further files of a folder that are text, code say: go,py")
}

// prepareCorpus shows a bar while a corpus is made; one that was made before is there at once.
func prepareCorpus(ctx context.Context, spec string, f textFlags) (*text.Corpus, error) {
	if spec == "" {
		return nil, errNoCorpus
	}
	ends, err := text.Ends(f.files)
	if err != nil {
		return nil, err
	}
	bar := newBar("preparing text")
	defer bar.finish()
	return text.PrepareWith(ctx, spec, text.Options{Field: f.field, Files: ends, Progress: bar.set})
}
