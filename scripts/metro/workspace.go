// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro/backend"
	"metrolab/metro/data"
	"metrolab/metro/runs"
	"metrolab/metro/training"
)

var errInterrupted = training.ErrInterrupted

// workspace is what the flags of most commands choose: corpus, backend, and the folder of runs.
type workspace struct {
	corpus, backend, out string
}

func (w *workspace) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.corpus, "corpus", data.Default, "text to train on: godoc (this machine's Go documentation), a .txt, .md or .txt.gz file, a folder of them, or a prepared corpus")
	cmd.Flags().StringVar(&w.backend, "backend", "auto", "auto, go, xla, xla:cuda, or xla:/path/to/plugin.so")
	cmd.Flags().StringVar(&w.out, "out", "runs", "folder of the runs")
}

// open makes a runner: backend, corpus, store. It says what it picked.
func (w *workspace) open(ctx context.Context) (*training.Runner, error) {
	if found, err := os.Stat(w.out); err == nil && !found.IsDir() {
		return nil, usererr.New("--out %s is a file; it must be a folder, or not exist yet", w.out)
	}
	engine, err := backend.Open(w.backend)
	if err != nil {
		return nil, err
	}
	info := backend.Describe(engine)
	fmt.Fprintln(os.Stderr, info)
	corpus, err := prepareCorpus(ctx, w.corpus)
	if err != nil {
		return nil, err
	}
	cache, err := data.CacheDir()
	if err != nil {
		return nil, err
	}
	total := corpus.Stats.Total()
	fmt.Fprintf(os.Stderr, "corpus: %s, %s paragraphs, %s words\n", corpus.Source, count(total.Documents), count(total.Words))
	return &training.Runner{
		Backend: engine, BackendKind: string(info.Kind),
		Provenance: runs.Backend{Name: string(info.Kind), Platform: info.Name, Plugin: info.Plugin, Version: info.PluginVersion},
		Corpus:     corpus, CacheDir: cache, Store: runs.Store{Root: w.out},
	}, nil
}

// prepareCorpus shows a bar while a corpus is made; one that was made before is there at once.
func prepareCorpus(ctx context.Context, spec string) (*data.Corpus, error) {
	bar := newBar("preparing text")
	defer bar.finish()
	return data.Prepare(ctx, spec, "", bar.set)
}
