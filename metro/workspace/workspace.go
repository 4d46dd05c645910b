// SPDX-License-Identifier: Apache-2.0

// Package workspace opens what every program that trains begins with: a backend, a text, and the folder of runs. It links
// the XLA backend, so programs and notebook cells that only read results leave it out.
package workspace

import (
	"cmp"
	"context"
	"log"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"

	"metrolab/internal/usererr"
	"metrolab/metro/backend"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	_ "metrolab/metro/text/parquet" // corpora may be columns of it
	"metrolab/metro/training"
)

// Options choose a workspace. The zero value is this machine's best backend, its Go documentation, and the folder runs.
type Options struct {
	Backend string // see [backend.Open]; "auto" if empty
	Corpus  string // see [text.Prepare]; [text.Default] if empty
	Field   string // of the corpus's JSON objects; see [text.Options]
	Files   string // ends of names of further files of the corpus; see [text.Ends]
	Mixed   bool   // other texts are mixed into it, of which Files speaks too
	Runs    string // folder of the runs; "runs" if empty

	Said     func(line string)     // hears in a line each what was picked, and what a person should know of the text; may be nil
	Progress func(done, total int) // of preparing the text; may be nil
}

// Open opens a workspace. A backend that is not there, a text that cannot be read and a file in the place of the folder
// are the user's errors.
func Open(ctx context.Context, o Options) (*training.Runner, error) {
	r, err := OpenEngine(o)
	if err != nil {
		return nil, err
	}
	if err := OpenText(ctx, r, o); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenText opens the text of a runner that has none yet.
func OpenText(ctx context.Context, r *training.Runner, o Options) error {
	ends, err := text.Ends(o.Files)
	if err != nil {
		return err
	}
	if err := r.OpenCorpus(ctx, cmp.Or(o.Corpus, text.Default), text.Options{Field: o.Field, Files: ends, Among: o.Mixed, Progress: o.Progress}); err != nil {
		return err
	}
	for _, note := range r.Corpus.Notes {
		if o.Said != nil {
			o.Said(note)
		} else {
			log.Print(note)
		}
	}
	return nil
}

// OpenEngine opens a workspace without a text, for what trains on examples of its own.
func OpenEngine(o Options) (*training.Runner, error) {
	root, said := cmp.Or(o.Runs, "runs"), o.Said
	if said == nil {
		said = func(string) {}
	}
	if found, err := os.Stat(root); err == nil && !found.IsDir() {
		return nil, usererr.New("%s is a file; it must be the folder of the runs, or not exist yet", root)
	}
	cache, err := text.CacheDir()
	if err != nil {
		return nil, err
	}
	engine, err := OpenBackend(o.Backend)
	if err != nil {
		return nil, err
	}
	info := backend.Describe(engine)
	said(info.String())
	return &training.Runner{
		Backend: engine, Fit: Fit(engine), BackendKind: info.Numerics(), SIMD: info.SIMD, Devices: info.Divided,
		Provenance: runs.Backend{Name: string(info.Kind), Platform: info.Name, Plugin: info.Plugin, Version: info.PluginVersion, Devices: info.Divided},
		CacheDir:   cache, Store: runs.Store{Root: root},
	}, nil
}

// Fit is what a [training.Runner] on an engine opens others with; see [backend.Fit].
func Fit(engine compute.Backend) training.EngineFit {
	return func(n training.EngineNeeds) func() (compute.Backend, error) {
		return backend.Fit(engine, backend.Needs(n))
	}
}

// OpenBackend opens a backend by its spec, "auto" if empty, that keeps what it compiles in the cache; see
// [backend.CacheExecutables] and [text.CacheDir].
func OpenBackend(spec string) (compute.Backend, error) {
	cache, err := text.CacheDir()
	if err != nil {
		return nil, err
	}
	backend.CacheExecutables(filepath.Join(cache, "executables"))
	return backend.Open(cmp.Or(spec, "auto"))
}
