// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"metrolab/internal/usererr"
	"metrolab/metro"
	"metrolab/metro/grow"
	"metrolab/metro/hf"
	"metrolab/metro/runs"
	"metrolab/metro/text"
	"metrolab/metro/tokens"
	"metrolab/metro/training"
	"metrolab/metro/weights"
	"metrolab/metro/workspace"
	"metrolab/viz/table"
)

// growFlags choose a model, what it grows to and how.
type growFlags struct {
	model, out, corpus, backend string
	set                         []string
	options                     grow.Options
	approximate                 bool
}

func growCommand() *cobra.Command {
	var f growFlags
	cmd := &cobra.Command{
		Use:   "grow",
		Short: "Make a larger model of a trained one, wider or deeper, and say what of its function stays",
		Long: `Copies the weights of a trained model into a wider or deeper one, from which pretraining goes on with --init-from. What --set does
not say follows: heads keep their size, inner widths and the generator grow with the main model, and the logits of heads that
are tied to the token table are scaled back (embeddings.output_scale). --set generator.width=64 keeps the generator as wide as it is.

A width that is a multiple keeps the function (bert2BERT's FPI). Copies then stay equal for ever in a model without dropout, as
METRO's are; --noise 0.1 tells them apart without a change of the function. --width aki takes the copies from the layer above
instead, and gives the function up. --depth stack repeats layers as 0 1 0 1, interpolate as 0 0 1 1, and zero, under pre-LN
alone, adds layers that do nothing yet.

The receipt compares both models on 16 texts that neither was trained on: the largest differences of states and logits, whether
gradients can tell copies apart, and the ranks of the matrices that grew. The folder is a pair as metro export writes it. The
optimizer starts anew.`,
		Example: `  metro grow --model runs/tiny-0123456789 --set main.width=128 --noise 0.1 --out grown
  metro grow --model runs/tiny-0123456789 --set main.width=128 --set main.layers=4 --depth interpolate --out grown
  metro pretrain --recipe tiny --init-from grown`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return growModel(cmd, f) },
	}
	addModelFlag(cmd, &f.model)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.set, "set", nil, "what the model grows to, path=value: main.width, main.layers, generator.width, …; repeat for more")
	flags.StringVar(&f.out, "out", "", "folder to write; it must not be there yet")
	flags.StringVar(&f.options.Width, "width", grow.WidthFPI, "what copies of coordinates are at first: fpi, the layer's own, or aki, those of the layer above")
	flags.StringVar(&f.options.Depth, "depth", grow.DepthStack, "which layers are repeated: stack, interpolate or zero")
	flags.Float64Var(&f.options.Noise, "noise", 0, "noise that tells copies apart and adds up to nothing, in parts of the weights' standard deviation")
	flags.BoolVar(&f.options.RestartGenerator, "restart-generator", false, "draw the generator's own weights anew")
	flags.Int64Var(&f.options.Seed, "seed", 0, "of the noise, and of a generator that starts anew")
	flags.BoolVar(&f.approximate, "approximate", false, "write a model whose width is no multiple, and whose function is kept only nearly")
	flags.StringVar(&f.corpus, "corpus", "", "text for the receipt; the model's training text if not given")
	flags.StringVar(&f.backend, "backend", "auto", backendUsage)
	for _, name := range []string{"set", "out"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return cmd
}

func growModel(cmd *cobra.Command, f growFlags) error {
	if _, err := os.Lstat(f.out); err == nil {
		return usererr.New("--out %s is there already; name a new folder", f.out)
	}
	p, large, err := f.grow()
	if err != nil {
		return err
	}
	defer large.Close()
	rows, err := f.rows(cmd.Context(), p)
	if err != nil {
		return err
	}
	be, err := during("loading the backend", func() (compute.Backend, error) { return workspace.OpenBackend(f.backend) })
	if err != nil {
		return err
	}
	receipt, err := during("comparing the models", func() (grow.Receipt, error) { return grow.Inspect(be, large, rows) })
	if err != nil {
		return err
	}
	printReceipt(cmd.OutOrStdout(), p.Model, large.Model(), f.options, receipt)
	if uneven := unevenNotes(p.Model.Config, large.Model().Config); len(uneven) > 0 && !f.approximate {
		return usererr.New("nothing was written: %s, and the function is kept only nearly, as the table says; take a multiple, or give --approximate", uneven[0])
	}
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	notes, err := hf.Export(f.out, p.Tokenizer, large)
	if err != nil {
		return usererr.New("%w", err)
	}
	for _, note := range notes {
		fmt.Fprintln(cmd.OutOrStdout(), note)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\ngrown: %s\nnext:  metro pretrain --recipe NAME --init-from %s\n", f.out, f.out)
	return nil
}

// unevenNotes are those that no option asks for.
func unevenNotes(from, to metro.Config) []string {
	to.Main.Layers, to.Generator.Layers = from.Main.Layers, from.Generator.Layers
	return grow.Notes(from, to, grow.Options{})
}

// grow opens the model and grows it.
func (f growFlags) grow() (p training.Pretrained, large weights.Source, err error) {
	p, err = during("reading the model", func() (training.Pretrained, error) { return training.LoadPretrained(f.model) })
	if err == nil {
		err = errors.Join(p.NeedMain(), undiverged(p))
	}
	if err != nil {
		return p, nil, err
	}
	say(p.Notes...)
	src, err := p.Source()
	if err != nil {
		return p, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, src.Close())
		}
	}()
	c := p.Model.Config
	to, err := grow.Target(c, f.set...)
	if err != nil {
		return p, nil, err
	}
	same, err := weights.As(src, c, metro.Describe(c, p.Model.Vocab))
	if err != nil {
		return p, nil, err
	}
	large, err = grow.Grow(same, to, f.options)
	return p, large, err
}

// undiverged is the user's error for a run that has diverged.
func undiverged(p training.Pretrained) error {
	if !p.IsRun() {
		return nil
	}
	run, err := runs.Store{}.OpenDir(p.Dir)
	if err != nil {
		return err
	}
	result, found, err := training.ReadResult(run)
	if err == nil && found && result.Diverged != "" {
		return usererr.New("%s %s; grow a run that has not, or fork it before that", p.Dir, result.Diverged)
	}
	return err
}

// receiptRows is how many texts the models are compared on.
const receiptRows = 16

// rows are texts of the validation split, as the model reads them.
func (f growFlags) rows(ctx context.Context, p training.Pretrained) (rows [][]int32, err error) {
	d := p.Identity.Config.Data
	corpus, err := prepareCorpus(ctx, cmp.Or(f.corpus, d.Corpus, text.Default), textFlags{field: d.Field, files: d.Files})
	if err != nil {
		return nil, fmt.Errorf("the text for the receipt (--corpus names another): %w", err)
	}
	var failure error
	for document := range corpus.Texts(ctx, text.Validation, &failure) {
		if rows = append(rows, receiptRow(p.Tokenizer, document, p.Model.Config.Data.SeqLen)); len(rows) == receiptRows {
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

// printReceipt prints what a growth has done.
func printReceipt(w io.Writer, small, large metro.Model, o grow.Options, r grow.Receipt) {
	sizes := table.Table{Columns: []table.Column{{Name: ""}, {Name: "from", Align: table.Right}, {Name: "to", Align: table.Right}}}
	for _, e := range []struct {
		name     string
		from, to metro.Encoder
	}{{"main", small.Config.Main, large.Config.Main}, {"generator", small.Config.Generator, large.Config.Generator}} {
		shape := func(e metro.Encoder) string {
			return fmt.Sprintf("%d layers, width %d, %d heads, inner width %d", e.Layers, e.Width, e.Heads, e.FFN)
		}
		if e.from.Width > 0 {
			sizes.Rows = append(sizes.Rows, []any{e.name, shape(e.from), shape(e.to)})
		}
	}
	count := func(m metro.Model) int {
		inv, _ := m.Config.Inventory(m.Vocab)
		return inv.Count()
	}
	sizes.Rows = append(sizes.Rows, []any{"weights", count(small), count(large)})
	printTable(w, sizes)
	outputs := table.Table{Columns: []table.Column{{Name: "on the same texts"}, {Name: "largest difference", Align: table.Right}, {Name: "largest value", Align: table.Right}}}
	for _, x := range r.Outputs {
		outputs.Rows = append(outputs.Rows, []any{x.Name, fmt.Sprintf("%.2g", x.Difference), fmt.Sprintf("%.3g", x.Scale)})
	}
	fmt.Fprintln(w)
	printTable(w, outputs)
	if len(r.Ranks) > 0 {
		fmt.Fprintln(w)
		printTable(w, rankTable(r.Ranks))
	}
	fmt.Fprintln(w)
	for _, note := range r.Notes {
		fmt.Fprintf(w, "the function is not kept: %s\n", note)
	}
	if !r.Keeps() {
		return
	}
	fmt.Fprintln(w, "the function is kept, to the rounding of float32")
	if !math.IsNaN(r.Gradient) {
		fmt.Fprintf(w, "gradients are those of the smaller model, divided among copies, within %.1g of each tensor's largest\n", r.Gradient)
		if r.Gradient < 1e-3 && o.Noise == 0 && small.Config.Main.Width != large.Config.Main.Width {
			fmt.Fprintln(w, "so copies will stay equal in training without dropout, and the model can do no more than the smaller one; --noise 0.1 tells them apart")
		}
	}
}

// rankTable has a row for each kind of matrix, with the least and the greatest rank over layers.
func rankTable(ranks []grow.Rank) table.Table {
	t := table.Table{Columns: []table.Column{{Name: "matrix"}, {Name: "how many", Align: table.Right}, {Name: "rank", Align: table.Right}, {Name: "grown", Align: table.Right}, {Name: "can be", Align: table.Right}}}
	layer := regexp.MustCompile(`layer_\d+\.`)
	var kinds []string
	of := map[string][]grow.Rank{}
	for _, r := range ranks {
		kind := strings.TrimSuffix(layer.ReplaceAllString(r.Tensor, ""), ".weights")
		if of[kind] == nil {
			kinds = append(kinds, kind)
		}
		of[kind] = append(of[kind], r)
	}
	span := func(list []grow.Rank, get func(grow.Rank) int) string {
		low, high := get(list[0]), get(list[0])
		for _, r := range list {
			low, high = min(low, get(r)), max(high, get(r))
		}
		if low == high {
			return fmt.Sprint(low)
		}
		return fmt.Sprintf("%d–%d", low, high)
	}
	for _, kind := range kinds {
		list := of[kind]
		t.Rows = append(t.Rows, []any{
			kind, len(list), span(list, func(r grow.Rank) int { return r.Before }), span(list, func(r grow.Rank) int { return r.Now }),
			span(list, func(r grow.Rank) int { return r.Can }),
		})
	}
	return t
}
