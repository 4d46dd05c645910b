// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gomlx/compute"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/outputs"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
	"metrolab/metro/training"
	"metrolab/metro/weights"
	"metrolab/metro/workspace"
	"metrolab/viz/table"
)

// remade is a trained model whose weights are to be made into others, under the config that it is read with.
type remade struct {
	training.Pretrained
	source weights.Source
}

// openRemade opens the weights of a model that is to be made into another, which will be written into out. A generator alone, a run
// that has diverged, and a folder that is there already are the user's error.
func openRemade(dir, out string) (m remade, err error) {
	if err := newFolder(out); err != nil {
		return m, err
	}
	return openSource(dir)
}

// openSource opens the weights of a model that nothing is written for. A generator alone and a run that has diverged are the user's
// error.
func openSource(dir string) (m remade, err error) {
	m.Pretrained, err = during("reading the model", func() (training.Pretrained, error) { return training.LoadPretrained(dir) })
	if err == nil {
		err = errors.Join(m.NeedPlain(), undiverged(m.Pretrained))
	}
	if err != nil {
		return m, err
	}
	say(m.Notes...)
	src, err := m.Source()
	if err != nil {
		return m, err
	}
	c := m.Model.Config
	if m.source, err = weights.As(src, c, metro.Describe(c, m.Model.Vocab)); err != nil {
		return m, errors.Join(err, src.Close())
	}
	return m, nil
}

// exporter writes a model as a pair of folders, whole or as factors; see package hf.
type exporter func(dir string, t tokens.Tokenizer, src weights.Source) (notes []string, err error)

// write writes the new model as a pair of folders, and prints what to know of them.
func (m remade) write(w io.Writer, out string, src weights.Source, export exporter) error {
	notes, err := export(out, m.Tokenizer, src)
	if err != nil {
		return usererr.New("%w", err)
	}
	for _, note := range notes {
		fmt.Fprintln(w, note)
	}
	return nil
}

// compared is what both models are run on, and the engine that runs them.
func (m remade) compared(ctx context.Context, corpus, engine string) (rows [][]int32, be compute.Backend, err error) {
	return m.runOn(ctx, corpus, engine, receiptRows)
}

// runOn is compared, on as many texts.
func (m remade) runOn(ctx context.Context, corpus, engine string, texts int) (rows [][]int32, be compute.Backend, err error) {
	if rows, err = heldOutRows(ctx, m.Pretrained, corpus, texts); err != nil {
		return nil, nil, err
	}
	be, err = during("loading the backend", func() (compute.Backend, error) { return workspace.OpenBackend(engine) })
	return rows, be, err
}

// undiverged is the user's error for a run that has diverged, unless one of its steps is named.
func undiverged(p training.Pretrained) error {
	if !p.IsRun() || p.Dir != p.RunDir {
		return nil
	}
	run, err := runs.Store{}.OpenDir(p.RunDir)
	if err != nil {
		return err
	}
	result, found, err := training.ReadResult(run)
	if err == nil && found && result.Diverged != "" {
		return usererr.New("%s %s; name a step before that, %s@STEP", p.Dir, result.Diverged, p.Dir)
	}
	return err
}

// receiptRows is how many texts the models are compared on.
const receiptRows = 16

// heldOutRows are n texts, or as many as there are, of the validation split of spec or, if it is "", of what p was trained on, as p
// reads them.
func heldOutRows(ctx context.Context, p training.Pretrained, spec string, n int) (rows [][]int32, err error) {
	d := p.Identity.Config.Data
	corpus, err := prepareCorpus(ctx, cmp.Or(spec, d.Corpus, text.Default), textFlags{field: d.Field, files: d.Files})
	if err != nil {
		return nil, fmt.Errorf("the text for the receipt (--corpus names another): %w", err)
	}
	var failure error
	for document := range corpus.Texts(ctx, text.Validation, &failure) {
		if rows = append(rows, receiptRow(p.Tokenizer, document, p.Model.Config.Data.SeqLen)); len(rows) == n {
			break
		}
	}
	if len(rows) == 0 && failure == nil {
		failure = usererr.New("%s has no validation text for the receipt; name another by --corpus", corpus.Source)
	}
	return rows, failure
}

// receiptRow is the beginning of a document in one row of n ids.
func receiptRow(t tokens.Tokenizer, document string, n int) []int32 {
	ids := t.Encode(document).IDs
	tokens.Plain(t, ids[1:len(ids)-1])
	if len(ids) > n {
		ids = append(slices.Clone(ids[:n-1]), t.Special().SEP)
	}
	for len(ids) < n {
		ids = append(ids, t.Special().PAD)
	}
	return ids
}

// differenceTable compares what two models say of the same texts.
func differenceTable(differences []outputs.Difference) table.Table {
	t := table.Table{Columns: []table.Column{{Name: "on the same texts"}, {Name: "largest difference", Align: table.Right}, {Name: "largest value", Align: table.Right}}}
	for _, x := range differences {
		t.Rows = append(t.Rows, []any{x.Name, fmt.Sprintf("%.2g", x.Largest), fmt.Sprintf("%.3g", x.Scale)})
	}
	return t
}
